package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"

	"github.com/watchkv/watchkv/kv"
)

// futureChecks are those of W9: watches that begin where the store has yet to come.
var futureChecks = []check{
	{"W9", "near-future", "watches all keys and one after revisions that the store is about to reach, and writes past them", 0, func(e *env) {
		now := e.put(e.key("k"), "now")
		var watches []*watching
		for ahead := range kv.Revision(8) {
			for _, r := range []kv.Range{e.all(), kv.Key(e.key("k"))} {
				watches = append(watches, e.watch(r, now+ahead))
			}
		}
		e.underWay(watches...)
		last := e.writePast(now + 8)
		for _, w := range watches {
			early(e, w.through(last))
			w.expectAll()
		}
	}},
	{"W9", "far-future", "watches after a revision far ahead, and after the last that there can be, writes, and ends the watches: nothing was delivered", 0, func(e *env) {
		now := e.put(e.key("k"), "now")
		live := e.watch(e.all(), now)
		for _, after := range []kv.Revision{now + 1_000_000, math.MaxInt64 - 1, math.MaxInt64} {
			far := e.watch(e.all(), after)
			e.underWay(far)
			live.through(e.writePast(e.ledger.last() + 10))
			far.cancel()
			e.expectContextError("the watch of the future", far.untilEnd(), context.Canceled)
			early(e, far)
			if n := len(far.events()); n > 0 {
				e.Errorf("a watch after revision %d delivered %d events, and the store is at %d", far.after, n, e.ledger.last())
			}
		}
	}},
	{"W9", "one-ahead", "gets, and watches after one revision more, many times: the next write is not delivered, later ones are", 0, func(e *env) {
		for range 10 {
			now := e.get(e.all()).Revision
			w := e.watch(e.all(), now+1)
			e.underWay(w)
			last := e.writePast(now + 2)
			early(e, w.through(last))
			w.expectAll()
			w.stop()
		}
	}},
	{"W9", "lost-stream", "ends the streams of the store while a watch waits for the future: it waits on, or ends, and is begun again", endStreams, func(e *env) {
		now := e.put(e.key("k"), "now")
		w := e.watch(e.all(), now+20)
		e.underWay(w)
		e.endStreams()
		for range 10 { // by then one that goes on by itself surely does
			runtime.Gosched()
			e.underWay(w)
		}
		e.lossless(w, e.writePast(now+21))
		early(e, w)
	}},
	{"W9", "bookmarks", "asks for bookmarks while a watch waits for the future: none says less than the watch began after", progress, func(e *env) {
		now := e.put(e.key("k"), "now")
		future := now + 8
		w := e.watch(e.all(), future)
		live := e.watch(e.all(), now)
		e.underWay(w, live)
		for i := range 4 {
			e.progress()
			live.through(e.put(e.key("k"), fmt.Sprint(i)))
		}
		early(e, w.through(e.writePast(future+1)))
		w.expectAll()
	}},
}

// writePast writes until the store is past rev, and returns the revision of the last write.
func (e *env) writePast(rev kv.Revision) kv.Revision {
	for i := 0; ; i++ {
		if at := e.put(e.key("k"), fmt.Sprint("past ", i)); at > rev {
			return at
		}
	}
}

// underWay returns when watches have, as far as can be known, reached the store: one that began after them has
// delivered a write. A store that means "from now" by a future revision would mean one before that write.
func (e *env) underWay(watches ...*watching) {
	for _, w := range watches {
		<-w.begun
	}
	probe := e.watch(e.all(), e.get(e.all()).Revision)
	<-probe.begun
	probe.through(e.put(e.key("under way"), "v"))
	probe.stop()
}

// early requires nothing at or below the revision the watch began after.
func early(e *env, w *watching) {
	for _, b := range w.batches {
		for _, event := range b.Events {
			if event.ModRevision <= w.after {
				e.Errorf("a watch after revision %d delivered %v %s of revision %d", w.after, event.Type, w.e.short(event.Key), event.ModRevision)
				return
			}
		}
		if b.Revision < w.after {
			e.Errorf("a watch after revision %d delivered a batch of revision %d: going on after it would go back", w.after, b.Revision)
			return
		}
	}
}

// rangeChecks are those of W10: what is in a range, and what is just outside.
var rangeChecks = []check{
	{"W10", "edges-live", "watches ranges of every kind while keys at their edges are put and deleted", 0, func(e *env) {
		start := e.get(e.all()).Revision
		var watches []*watching
		for _, r := range edgeRanges(e.prefix) {
			watches = append(watches, e.watch(r, start))
		}
		e.writeEdges()
		for _, w := range watches {
			e.readEdges(w)
		}
	}},
	{"W10", "edges-catch-up", "puts and deletes keys at the edges of ranges of every kind, and watches each from before", 0, func(e *env) {
		start := e.get(e.all()).Revision
		e.writeEdges()
		var watches []*watching
		for _, r := range edgeRanges(e.prefix) {
			watches = append(watches, e.watch(r, start))
		}
		for _, w := range watches {
			e.readEdges(w)
		}
	}},
	{"W10", "neighbours-of-a-prefix", "watches a prefix while keys before, at and after its end are written", 0, func(e *env) {
		start := e.get(e.all()).Revision
		r := kv.Prefix(e.key("app"))
		w := e.watch(r, start)
		for _, key := range []string{"app", "app/", "apq", "ap", "apo\xff", "app\xff", "app\xff\xff", "apq\x00", "App", "b"} {
			e.put(e.key(key), "v")
			e.delete(e.key(key))
		}
		inside(e, w.through(e.put(e.key("app/last"), "v")))
		w.expectAll()
	}},
	{"W10", "part-of-a-commit", "watches a range that holds some of the keys of a commit", commit, func(e *env) {
		start := e.get(e.all()).Revision
		w := e.watch(kv.Interval(e.key("b"), e.key("d")), start)
		for range 5 {
			e.commit(kv.PutOp(e.key("a"), nil), kv.PutOp(e.key("b"), nil), kv.PutOp(e.key("c"), nil), kv.PutOp(e.key("d"), nil))
			e.commit(kv.DeleteOp(e.key("d")), kv.DeleteOp(e.key("c")), kv.DeleteOp(e.key("a")))
		}
		inside(e, w.through(e.put(e.key("c\xff"), "v")))
		w.expectAll()
	}},
}

// writeEdges puts and deletes the keys at the edges, and puts them again in the end.
func (e *env) writeEdges() {
	for _, value := range []string{"1", ""} {
		for _, key := range edgeKeys(e.prefix) {
			e.put(key, value)
		}
	}
	for i, key := range edgeKeys(e.prefix) {
		if i%2 == 0 {
			e.delete(key)
		}
	}
	for _, key := range edgeKeys(e.prefix) {
		e.put(key, "last")
	}
}

// readEdges reads w as far as there is something to come, and requires exactly that.
func (e *env) readEdges(w *watching) {
	events := e.ledger.eventsAfter(w.r, w.after)
	if len(events) == 0 {
		e.Fatalf("the check is wrong: it wrote no key in %s", e.shortRange(w.r))
	}
	inside(e, w.through(events[len(events)-1].ModRevision))
	w.expectAll()
}

// inside requires every event to be about a key in the range.
func inside(e *env, w *watching) {
	for _, event := range w.events() {
		if !w.r.Contains(event.Key) {
			e.Errorf("a watch of %s delivered %v %s, which is not in it", e.shortRange(w.r), event.Type, e.short(event.Key))
			return
		}
	}
}

// expectContextError requires err to be the context's own, and nothing that asks to be tried again.
func (e *env) expectContextError(what string, err, want error) {
	if err == nil {
		e.Errorf("%s succeeded or stopped without an error, and should have ended with: %v", what, want)
		return
	}
	if errors.Is(err, errInVain) {
		e.Errorf("%s did not end, though its context has: %v", what, want)
		return
	}
	if !errors.Is(err, want) {
		e.Errorf("%s ended with %q, which does not match the context's own error: %v", what, err, want)
	}
	e.expectNoOther(what, err, want)
}
