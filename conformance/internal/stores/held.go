package stores

import (
	"unsafe"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// heldChecks are the checks of W11 that measure the memory which is held for watches: by how much the heap of this process shrinks when
// the watches end. Batches that a consumer has received do not count. These checks are the last of W11, because one of them compacts.
var heldChecks = []check{
	{"W11", "held-far-behind", "watches a long history eight times, reads one batch of each watch, and blocks: beyond that batch, each watch holds only a part of the history", 0, func(e *env) {
		long := e.sharedHistory()
		var size int
		for _, event := range long.Ledger.EventsAfter(long.All(), long.start) {
			size += int(unsafe.Sizeof(event)) + len(event.Key) + len(event.Value)
		}
		var watches []*suite.Watching
		for range 8 {
			w := long.Watch(long.All(), long.start)
			w.Next()
			watches = append(watches, w)
		}
		held := e.heldFor(watches)
		e.Logf("each watch holds %d KiB; the history has %d KiB", held>>10, size>>10)
		if held > size*3/4 {
			e.Errorf("a watch has yielded one batch of a history of %d events with %d KiB, but holds %d KiB beyond that batch: it should read history "+
				"in pages, when its consumer asks for more. If it does so already, Backend.Open should ask for smaller pages",
				len(long.Ledger.EventsAfter(long.All(), long.start)), size>>10, held>>10)
		}
	}},
	{"W11", "held-while-stuck", "blocks four consumers, two of the one half of the keys and two of the other, while others put five megabytes and another watch reads all of them, and compacts, if the backend can: no watch holds more than a fifth of what was put", 0, func(e *env) {
		const values, size = 100, 50 << 10
		start := e.Get(e.All()).Revision
		// No event is in both halves. So the end of a pair of watches also frees what the two hold in common.
		halves := []kv.Range{kv.Interval(e.Key("0"), e.Key("5")), kv.Interval(e.Key("5"), e.Key("last"))}
		firsts := []kv.Revision{e.Put(e.Key("0"), "first"), e.Put(e.Key("5"), "first")}
		var watches []*suite.Watching
		for i, half := range halves {
			for range 2 {
				watches = append(watches, e.Watch(half, start).Through(firsts[i]))
			}
		}
		other := e.Watch(e.All(), start)
		e.fillHistory(values, size)
		last := e.Put(e.Key("last"), "v")
		other.Through(last).ExpectAll()
		if e.Backend.Compact != nil {
			suite.SettledHeap() // so that the compaction removes nothing that is still on its way to a watch
			e.Compact(last)
		}
		held := e.heldFor(watches)
		e.Logf("each of %d blocked watches holds %d KiB, and %d KiB were put", len(watches), held>>10, values*size>>10)
		if held > values*size/5 {
			e.Errorf("each of %d watches holds %d KiB, after its consumer has blocked and %d KiB of values were put: what a watch holds "+
				"must not grow with what is put. If it is bounded already, Backend.Open should set a smaller bound", len(watches), held>>10, values*size>>10)
		}
	}},
}

// heldFor ends watches, and returns how many bytes each has held: the bytes that are freed by its end. The watches end in pairs, and
// the pair that frees least counts, because a server in this process may free its own memory at any moment.
func (e *env) heldFor(watches []*suite.Watching) int {
	var least int
	before := suite.SettledHeap()
	for i := 0; i < len(watches); i += 2 {
		pair := watches[i : i+2]
		for _, w := range pair {
			w.Stop()
		}
		for _, w := range pair {
			if !w.Finished(e.AtOnce()) {
				e.Fatalf("%s does not end, although its consumer has stopped", w)
			}
		}
		after := suite.LiveHeap()
		if freed := (before - after) / len(pair); i == 0 || freed < least {
			least = freed
		}
		before = after
	}
	return least
}
