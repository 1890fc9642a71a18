package stores

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// independenceChecks are the checks of W11: a blocked consumer does not affect writers and other watches.
var independenceChecks = []check{
	{"W11", "stuck-consumer", "blocks a consumer while others put megabytes, delete and commit, and another watch reads all of it, and with Again a watch of another store over the same data too; then the consumer continues", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		stuck, others := e.Watch(e.All(), start), []*suite.Watching{e.Watch(e.All(), start)}
		if e.Backend.Again != nil {
			others = append(others, e.WatchVia(e.Context(), e.Backend.Again(e, e.Store), e.All(), start))
		}
		first := e.Put(e.Key("first"), "v")
		stuck.Through(first)
		e.fillHistory(50, 50<<10)
		e.Delete(e.Key("0"))
		if e.Backend.Commit {
			e.Commit(kv.PutOp(e.Key("0"), nil), kv.DeleteOp(e.Key("1")))
		}
		last := e.Put(e.Key("last"), "v")
		for _, other := range others {
			other.Through(last).ExpectAll()
		}
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		e.catchesUp(stuck, last)
	}},
	{"W11", "stuck-for-long", "blocks a consumer during hundreds of revisions, or thousands of events if the store can commit, while another watch reads all of them; then the consumer continues", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		stuck, other := e.Watch(e.All(), start), e.Watch(e.All(), start)
		stuck.Through(e.Put(e.Key("first"), "v"))
		e.churn(28, 50)
		if e.Backend.Commit {
			e.commits(4, 5, 100, 0)
		}
		last := e.Put(e.Key("last"), "v")
		other.Through(last)
		e.catchesUp(stuck, last)
	}},
	{"W11", "never-read", "begins watches that are never read, while others write and watch", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		for range 20 {
			e.Watch(e.All(), start)
		}
		e.fillHistory(100, 4<<10)
		last := e.Put(e.Key("last"), "v")
		e.Watch(e.All(), start).Through(last).ExpectAll()
		e.Watch(kv.Key(e.Key("last")), start).Through(last).ExpectAll()
	}},
	{"W11", "many-watches", "runs two hundred watches of one prefix and of single keys; the consumer of every tenth is blocked until the others have read everything", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		var watches []*suite.Watching
		for i := range 200 {
			r := e.All()
			if i%2 == 1 {
				r = kv.Key(e.Key(fmt.Sprint(i % 10)))
			}
			watches = append(watches, e.Watch(r, start))
		}
		for i := range 30 {
			e.Put(e.Key(fmt.Sprint(i%10)), fmt.Sprint(i))
		}
		for _, slow := range []bool{false, true} {
			for i, w := range watches {
				if (i%10 == 9) == slow {
					events := e.Ledger.EventsAfter(w.R, start)
					w.Through(events[len(events)-1].ModRevision).ExpectAll()
				}
			}
		}
	}},
	{"W11", "taking-turns", "reads two watches of the same past in turns, one batch at a time", 0, func(e *env) {
		long := e.sharedHistory()
		a, b := long.Watch(long.All(), long.start), long.Watch(long.All(), long.start)
		for a.Position() < long.last || b.Position() < long.last {
			for _, w := range []*suite.Watching{a, b} {
				if w.Position() < long.last {
					w.Next()
				}
			}
		}
		a.ExpectAll()
		b.ExpectAll()
	}},
}

// catchesUp requires that w, whose consumer was blocked, delivers everything up to last, or reports that history is gone.
func (e *env) catchesUp(w *suite.Watching, last kv.Revision) {
	for w.Position() < last {
		if _, err, ok := w.TryNext(); !ok {
			if !errors.Is(err, kv.ErrCompacted) {
				e.Errorf("a consumer was blocked at revision %d and then continued. The store is at revision %d, and %s", w.Position(), last, suite.EndText(err))
			}
			break
		}
	}
	w.ExpectAll()
}
