package stores

import (
	"unsafe"

	"github.com/watchkv/watchkv/conformance/internal/suite"
)

// heldChecks are those of W11 that measure the memory which is held for watches: by how much the heap of this process shrinks when
// they end. What a consumer was given is its own, and is not counted. They are the last of W11, as one compacts.
var heldChecks = []check{
	{"W11", "held-far-behind", "watches a long history eight times, reads one batch each and blocks: the watches hold no more than a part of the history beyond that", 0, func(e *env) {
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
			e.Errorf("a watch has yielded one batch, of a history of %d events with %d KiB, and holds %d KiB beyond that: it should read history "+
				"in pages, when its consumer asks for more. If these are its pages, Backend.Open should ask for smaller ones",
				len(long.Ledger.EventsAfter(long.All(), long.start)), size>>10, held>>10)
		}
	}},
	{"W11", "held-while-stuck", "blocks four consumers while others put five megabytes and another watch reads all of it, and compacts, if that is claimed: no watch holds more than a fifth of what has passed", 0, func(e *env) {
		const values, size = 100, 50 << 10
		start := e.Get(e.All()).Revision
		first := e.Put(e.Key("first"), "v")
		var watches []*suite.Watching
		for range 4 {
			watches = append(watches, e.Watch(e.All(), start).Through(first))
		}
		other := e.Watch(e.All(), start)
		e.fillHistory(values, size)
		last := e.Put(e.Key("last"), "v")
		other.Through(last).ExpectAll()
		if e.Backend.Compact != nil {
			e.Settled() // nothing that is still on its way to a watch should be compacted before
			e.Compact(last)
		}
		held := e.heldFor(watches)
		e.Logf("each of %d blocked watches holds %d KiB of %d KiB", len(watches), held>>10, values*size>>10)
		if held > values*size/5 {
			e.Errorf("each of %d watches holds %d KiB, since its consumer is blocked and %d KiB of values were put: what is held for it "+
				"should not grow with that. If this is the bound, Backend.Open should set a smaller one", len(watches), held>>10, values*size>>10)
		}
	}},
}

// heldFor ends watches, and returns how many bytes each has held: what ending it frees. They end in pairs, and the least that a pair frees
// counts, because a server in this process may drop something of its own at any moment.
func (e *env) heldFor(watches []*suite.Watching) int {
	var least int
	for i := 0; i < len(watches); i += 2 {
		pair := watches[i : i+2]
		freed := e.Freed(func() {
			for _, w := range pair {
				w.Stop()
			}
			for _, w := range pair {
				if !w.Finished(e.AtOnce()) {
					e.Fatalf("%s does not end, though its consumer has stopped", w)
				}
			}
		}) / len(pair)
		if i == 0 || freed < least {
			least = freed
		}
	}
	return least
}
