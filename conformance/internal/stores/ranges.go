package stores

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// futureChecks are the checks of W9: watches after revisions that the store has not reached yet.
var futureChecks = []check{
	{"W9", "near-future", "watches all keys, an interval and one key, after revisions that the store will reach soon, and writes past them", 0, func(e *env) {
		now := e.Put(e.Key("k"), "now")
		var watches []*suite.Watching
		for ahead := range kv.Revision(8) {
			for _, r := range []kv.Range{e.All(), kv.Interval(e.Key("a"), e.Key("z")), kv.Key(e.Key("k"))} {
				watches = append(watches, e.Watch(r, now+ahead))
			}
		}
		e.underWay(watches...)
		last := e.writePast(now + 8)
		for _, w := range watches {
			early(e, w.Through(last))
			w.ExpectAll()
		}
	}},
	{"W9", "far-future", "watches after a revision far ahead, and after the last possible one, writes, and ends the watches: nothing was delivered", 0, func(e *env) {
		now := e.Put(e.Key("k"), "now")
		live := e.Watch(e.All(), now)
		for _, after := range []kv.Revision{now + 1_000_000, math.MaxInt64 - 1, math.MaxInt64} {
			far := e.Watch(e.All(), after)
			e.underWay(far)
			live.Through(e.writePast(e.Ledger.Last() + 10))
			far.Cancel()
			e.expectContextError("the watch of the future", far.UntilEnd(), context.Canceled)
			early(e, far)
			if n := len(far.Events()); n > 0 {
				e.Errorf("a watch after revision %d delivered %d events, but the store is at %d", far.After, n, e.Ledger.Last())
			}
		}
	}},
	{"W9", "one-ahead", "gets, and watches after the next revision, many times: the next write is not delivered, later writes are", 0, func(e *env) {
		for range 10 {
			now := e.Get(e.All()).Revision
			w := e.Watch(e.All(), now+1)
			e.underWay(w)
			last := e.writePast(now + 2)
			early(e, w.Through(last))
			w.ExpectAll()
			w.Stop()
		}
	}},
	{"W9", "lost-stream", "ends the streams of the store while a watch waits for a future revision: the watch still waits, or it ends and is begun again", suite.EndStreams, func(e *env) {
		now := e.Put(e.Key("k"), "now")
		w := e.Watch(e.All(), now+20)
		e.underWay(w)
		e.EndStreams()
		for range 10 { // enough time for a watch that resumes by itself
			runtime.Gosched()
			e.underWay(w)
		}
		e.lossless(w, e.writePast(now+21))
		early(e, w)
	}},
	{"W9", "bookmarks", "requests bookmarks while a watch waits for the future: no bookmark is below the revision after which the watch begins", suite.Progress, func(e *env) {
		now := e.Put(e.Key("k"), "now")
		future := now + 8
		w := e.Watch(e.All(), future)
		live := e.Watch(e.All(), now)
		e.underWay(w, live)
		for i := range 4 {
			e.Progress()
			live.Through(e.Put(e.Key("k"), fmt.Sprint(i)))
		}
		early(e, w.Through(e.writePast(future+1)))
		w.ExpectAll()
	}},
}

// writePast writes until the store's revision is above rev, and returns the revision of the last write.
func (e *env) writePast(rev kv.Revision) kv.Revision {
	for i := 0; ; i++ {
		if at := e.Put(e.Key("k"), fmt.Sprint("past ", i)); at > rev {
			return at
		}
	}
}

// underWay waits until the watches have probably reached the store: until a watch that began after them has delivered a write. If a store
// takes a future revision for "from now", its "now" is before that write.
func (e *env) underWay(watches ...*suite.Watching) {
	for _, w := range watches {
		<-w.Begun
	}
	probe := e.Watch(e.All(), e.Get(e.All()).Revision)
	<-probe.Begun
	probe.Through(e.Put(e.Key("under way"), "v"))
	probe.Stop()
	probe.Finished(e.AtOnce()) // so that it is not taken for a watch that is left
}

// early requires that the watch delivers nothing at or below the revision after which it began.
func early(e *env, w *suite.Watching) {
	for _, b := range w.Batches {
		for _, event := range b.Events {
			if event.ModRevision <= w.After {
				e.Errorf("a watch after revision %d delivered %v %s of revision %d", w.After, event.Type, w.E.Short(event.Key), event.ModRevision)
				return
			}
		}
		if b.Revision < w.After {
			e.Errorf("a watch after revision %d delivered a batch of revision %d: a watch after that batch would go back", w.After, b.Revision)
			return
		}
	}
}

// rangeChecks are the checks of W10: what is in a range, and what is just outside.
var rangeChecks = []check{
	{"W10", "edges-live", "watches ranges of every kind while keys at their edges are put and deleted", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		var watches []*suite.Watching
		for _, r := range edgeRanges(e.Prefix) {
			watches = append(watches, e.Watch(r, start))
		}
		e.writeEdges()
		for _, w := range watches {
			e.readEdges(w)
		}
	}},
	{"W10", "edges-catch-up", "puts and deletes keys at the edges of ranges of every kind, and watches each from before", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		e.writeEdges()
		var watches []*suite.Watching
		for _, r := range edgeRanges(e.Prefix) {
			watches = append(watches, e.Watch(r, start))
		}
		for _, w := range watches {
			e.readEdges(w)
		}
	}},
	{"W10", "neighbours-of-a-prefix", "watches a prefix while keys before, at and after its end are written", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		r := kv.Prefix(e.Key("app"))
		w := e.Watch(r, start)
		for _, key := range []string{"app", "app/", "apq", "ap", "apo\xff", "app\xff", "app\xff\xff", "apq\x00", "App", "b"} {
			e.Put(e.Key(key), "v")
			e.Delete(e.Key(key))
		}
		inside(e, w.Through(e.Put(e.Key("app/last"), "v")))
		w.ExpectAll()
	}},
	{"W10", "part-of-a-commit", "watches a range that holds some of the keys of a commit", suite.Commit, func(e *env) {
		start := e.Get(e.All()).Revision
		w := e.Watch(kv.Interval(e.Key("b"), e.Key("d")), start)
		for range 5 {
			e.Commit(kv.PutOp(e.Key("a"), nil), kv.PutOp(e.Key("b"), nil), kv.PutOp(e.Key("c"), nil), kv.PutOp(e.Key("d"), nil))
			e.Commit(kv.DeleteOp(e.Key("d")), kv.DeleteOp(e.Key("c")), kv.DeleteOp(e.Key("a")))
		}
		inside(e, w.Through(e.Put(e.Key("c\xff"), "v")))
		w.ExpectAll()
	}},
}

// putEdges puts the keys at the edges, together if the store can commit.
func (e *env) putEdges() {
	keys := edgeKeys(e.Prefix)
	ops := make([]kv.Op, len(keys))
	for i, key := range keys {
		ops[i] = kv.PutOp(key, []byte("v"))
	}
	if e.Backend.Commit {
		e.Commit(ops...)
		return
	}
	for _, key := range keys {
		e.Put(key, "v")
	}
}

// writeEdges puts and deletes the keys at the edges, and finally puts them again.
func (e *env) writeEdges() {
	for _, value := range []string{"1", ""} {
		for _, key := range edgeKeys(e.Prefix) {
			e.Put(key, value)
		}
	}
	for i, key := range edgeKeys(e.Prefix) {
		if i%2 == 0 {
			e.Delete(key)
		}
	}
	for _, key := range edgeKeys(e.Prefix) {
		e.Put(key, "last")
	}
}

// readEdges reads w up to the last event of its range, and requires exactly the events of its range.
func (e *env) readEdges(w *suite.Watching) {
	events := e.Ledger.EventsAfter(w.R, w.After)
	if len(events) == 0 {
		e.Fatalf("the check itself is wrong: it wrote no key in %s", e.ShortRange(w.R))
	}
	inside(e, w.Through(events[len(events)-1].ModRevision))
	w.ExpectAll()
}

// inside requires that every event is about a key in the range.
func inside(e *env, w *suite.Watching) {
	for _, event := range w.Events() {
		if !w.R.Contains(event.Key) {
			e.Errorf("a watch of %s delivered %v %s, but that key is not in the range", e.ShortRange(w.R), event.Type, e.Short(event.Key))
			return
		}
	}
}

// expectContextError requires that err matches the context's error, and no error that invites a retry.
func (e *env) expectContextError(what string, err, want error) {
	if err == nil {
		e.Errorf("%s succeeded or ended without an error, want: %v", what, want)
		return
	}
	if errors.Is(err, suite.ErrInVain) {
		e.Errorf("%s did not end, although its context has ended: %v", what, want)
		return
	}
	if !errors.Is(err, want) {
		e.Errorf("%s ended with %q, which does not match the context's own error: %v", what, err, want)
	}
	e.expectNoOther(what, err, want)
}
