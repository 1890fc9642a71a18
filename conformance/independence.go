package conformance

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// independenceChecks are those of W11: what a consumer that does not ask for more does to others. What is held for
// it in memory is bounded by the same guarantee, and not measured here.
var independenceChecks = []check{
	{"W11", "stuck-consumer", "lets a consumer stand still while five megabytes are put, keys deleted and committed, and another watch reads that; then it reads on", 0, func(e *env) {
		start := e.get(e.all()).Revision
		stuck, other := e.watch(e.all(), start), e.watch(e.all(), start)
		first := e.put(e.key("first"), "v")
		stuck.through(first)
		e.fillHistory(100, 50<<10)
		e.delete(e.key("0"))
		if e.backend.Commit {
			e.commit(kv.PutOp(e.key("0"), nil), kv.DeleteOp(e.key("1")))
		}
		last := e.put(e.key("last"), "v")
		other.through(last).expectAll()
		e.expectSnapshot(e.all(), e.get(e.all()))
		e.catchesUp(stuck, last)
	}},
	{"W11", "never-read", "begins watches and never reads them, while others write and watch", 0, func(e *env) {
		start := e.get(e.all()).Revision
		for range 20 {
			e.watch(e.all(), start)
		}
		e.fillHistory(100, 4<<10)
		last := e.put(e.key("last"), "v")
		e.watch(e.all(), start).through(last).expectAll()
		e.watch(kv.Key(e.key("last")), start).through(last).expectAll()
	}},
	{"W11", "many-watches", "runs two hundred watches of one prefix and of single keys, every tenth of which stands still at first", 0, func(e *env) {
		start := e.get(e.all()).Revision
		var watches []*watching
		for i := range 200 {
			r := e.all()
			if i%2 == 1 {
				r = kv.Key(e.key(fmt.Sprint(i % 10)))
			}
			watches = append(watches, e.watch(r, start))
		}
		for i := range 50 {
			e.put(e.key(fmt.Sprint(i%10)), fmt.Sprint(i))
		}
		for _, slow := range []bool{false, true} {
			for i, w := range watches {
				if (i%10 == 9) == slow {
					events := e.ledger.eventsAfter(w.r, start)
					w.through(events[len(events)-1].ModRevision).expectAll()
				}
			}
		}
	}},
	{"W11", "taking-turns", "reads two watches of the same past one batch at a time, in turns", 0, func(e *env) {
		long := e.longHistory()
		a, b := long.watch(long.all(), long.start), long.watch(long.all(), long.start)
		for a.position() < long.last || b.position() < long.last {
			for _, w := range []*watching{a, b} {
				if w.position() < long.last {
					w.next()
				}
			}
		}
		a.expectAll()
		b.expectAll()
	}},
}

// catchesUp requires a watch that was left alone to deliver everything, or to say that history is gone.
func (e *env) catchesUp(w *watching, last kv.Revision) {
	for w.position() < last {
		if _, err, ok := w.tryNext(); !ok {
			if !errors.Is(err, kv.ErrCompacted) {
				e.Errorf("a consumer stood still at revision %d and then read on; the store is at %d, and %s", w.position(), last, endText(err))
			}
			break
		}
	}
	w.expectAll()
}
