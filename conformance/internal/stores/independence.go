package stores

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// independenceChecks are those of W11: what a consumer that does not ask for more does to others.
var independenceChecks = []check{
	{"W11", "stuck-consumer", "blocks a consumer while others put megabytes, delete and commit, and another watch reads all of it; then the consumer reads on", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		stuck, other := e.Watch(e.All(), start), e.Watch(e.All(), start)
		first := e.Put(e.Key("first"), "v")
		stuck.Through(first)
		e.fillHistory(50, 50<<10)
		e.Delete(e.Key("0"))
		if e.Backend.Commit {
			e.Commit(kv.PutOp(e.Key("0"), nil), kv.DeleteOp(e.Key("1")))
		}
		last := e.Put(e.Key("last"), "v")
		other.Through(last).ExpectAll()
		e.ExpectSnapshot(e.All(), e.Get(e.All()))
		e.catchesUp(stuck, last)
	}},
	{"W11", "stuck-for-long", "blocks a consumer while many revisions and, with commits, thousands of events pass, and another watch reads all of them; then the consumer reads on", 0, func(e *env) {
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
	{"W11", "never-read", "begins watches and never reads them, while others write and watch", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		for range 20 {
			e.Watch(e.All(), start)
		}
		e.fillHistory(100, 4<<10)
		last := e.Put(e.Key("last"), "v")
		e.Watch(e.All(), start).Through(last).ExpectAll()
		e.Watch(kv.Key(e.Key("last")), start).Through(last).ExpectAll()
	}},
	{"W11", "many-watches", "runs two hundred watches of one prefix and of single keys, every tenth of which is blocked at first", 0, func(e *env) {
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

// catchesUp requires a watch that was left alone to deliver everything, or to say that history is gone.
func (e *env) catchesUp(w *suite.Watching, last kv.Revision) {
	for w.Position() < last {
		if _, err, ok := w.TryNext(); !ok {
			if !errors.Is(err, kv.ErrCompacted) {
				e.Errorf("a consumer stood still at revision %d and then read on; the store is at %d, and %s", w.Position(), last, suite.EndText(err))
			}
			break
		}
	}
	w.ExpectAll()
}
