package values

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// everyUpdateChecks are the checks of V4: watchers of every update. They do not measure the memory that a watcher holds while it is behind.
var everyUpdateChecks = []check{
	{"V4", "in-order", "four writers concurrently put, delete and put again: each update is returned, once and in order", 0, func(e *env) {
		f, seen := e.everyUpdate()
		e.givesEach(f, seen, e.churnKey(4, 20))
		f.HasNothing()
	}},
	{"V4", "beyond-the-backlog", "puts hundreds of times while a watcher with a backlog of one update does not read: it then reads them from the store's history", 0, func(e *env) {
		f, seen := e.everyUpdate(value.WithBacklog(1))
		last := e.burst(30, 300)
		e.givesEach(f, seen, last)
		e.givesEach(f, last, e.burst(4, 40))
		f.HasNothing()
	}},
	{"V4", "join-late", "opens a watcher when there is history already, and a second one later: each begins at the newest value, and misses nothing after it", 0, func(e *env) {
		first, seen := e.everyUpdate()
		middle := e.churnKey(2, 10)
		second := e.follow(first.Of, "the later watcher", value.EveryUpdate())
		second.Gives("last")
		last := e.churnKey(2, 10)
		e.givesEach(second, middle, last)
		e.givesEach(first, seen, last)
	}},
	{"V4", "streams-lost", "ends the watch of the store after every fifth put: each update is returned, once and in order", 0, func(e *env) {
		f, seen := e.everyUpdate()
		for i := range 40 {
			e.set(fmt.Sprint(i))
			if i%5 == 0 {
				e.faults.EndStreams(kv.ErrUnavailable)
			}
		}
		e.givesEach(f, seen, e.set("last"))
		f.HasNothing()
	}},
	{"V4", "during-a-cut", "cuts the store off while others put and delete: each update of that time is returned after the heal", 0, func(e *env) {
		f, seen := e.everyUpdate()
		others, heal := e.away()
		for i := range 12 {
			if _, err := e.TryPut(others, e.at, fmt.Sprint(i)); i%4 != 3 {
				e.Must("put", err)
				continue
			}
			_, err := e.TryDelete(others, e.at)
			e.Must("delete", err)
		}
		heal()
		e.givesEach(f, seen, e.set("last"))
		f.HasNothing()
	}},
	{"V4", "streams-ended", "ends the backend's streams many times while others write: each update is returned, once and in order", suite.EndStreams, func(e *env) {
		f, seen := e.everyUpdate()
		for i := range 4 {
			e.set(fmt.Sprint(i))
			e.EndStreams()
			e.set(fmt.Sprint(i, " again"))
		}
		e.givesEach(f, seen, e.set("last"))
		f.HasNothing()
	}},
	{"V4", "one-gap", "cuts the store off, puts nine times, compacts, and heals: each update is returned, or one GapError and the newest value", suite.Compact, func(e *env) {
		f, seen := e.everyUpdate()
		e.Streaming(1)
		others, heal := e.away()
		var last kv.Revision
		for i := range 9 {
			rev := e.setVia(others, fmt.Sprint(i))
			last = rev
		}
		e.forgetHistoryVia(others)
		heal()
		e.givesEachOrOneGap(f, seen, last)
		// One put at a time. Its version shows that it follows the last update, even if the Value learns of the compaction only now. Of several
		// puts the first could be lost, and a GapError would be correct.
		e.nextArrives(f)
		e.nextArrives(f)
	}},
	{"V4", "far-behind", "compacts what a watcher with a backlog of one update has yet to read: it returns the updates at hand, then one GapError, and the newest value", suite.Compact, func(e *env) {
		f, seen := e.everyUpdate(value.WithBacklog(1))
		quick := e.follow(f.Of, "the quick watcher")
		quick.Gives("initial")
		last := e.burst(4, 50)
		for quick.Revision() < last { // the watch delivers these, and no read: the Value itself is not behind
			if _, err := quick.Next(); err != nil {
				e.Fatalf("Get of %s returned the error %v", quick.Name, err)
			}
		}
		e.forgetHistory()
		e.givesEachOrOneGap(f, seen, last)
		// One put at a time. For several puts the watcher would read the history after its last update, which is forgotten too.
		e.nextArrives(f)
		e.nextArrives(f)
	}},
	{"V4", "no-gap", "cuts the store off, compacts the history of other keys only, and heals the cut: there is no gap", suite.Compact, func(e *env) {
		f, seen := e.everyUpdate()
		e.Streaming(1)
		others, heal := e.away()
		e.forgetHistoryVia(others)
		heal()
		// One put first. Its version shows that it follows the last update, even if it arrives before the Value has read again. Of several puts
		// the first could be lost, and a GapError would be correct.
		rev := e.set("first")
		e.givesEach(f, seen, rev)
		e.givesEach(f, rev, e.churnKey(2, 5))
	}},
}

// everyUpdate opens a watcher of every update. It has returned "initial", at revision seen.
func (e *env) everyUpdate(opts ...value.Option) (f *watcher, seen kv.Revision) {
	e.set("initial")
	f = e.follow(e.value(opts...), "the watcher of every update", value.EveryUpdate())
	return f, f.Gives("initial").Revision
}

// churnKey puts and deletes the key of the Values, by several writers at once, and puts "last".
func (e *env) churnKey(writers, n int) (last kv.Revision) {
	e.Parallel(writers, func(writer int) error {
		for i := range n {
			var err error
			if i%4 == writer%4 {
				_, err = e.TryDelete(e.Store, e.at)
			} else {
				_, err = e.TryPut(e.Store, e.at, fmt.Sprintf("%d of %d", i, writer))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return e.set("last")
}

// givesEachOrOneGap requires that Gets return every update after one revision and up to another. From some update on they may be missing, if
// a GapError reports that and the newest value follows.
func (e *env) givesEachOrOneGap(f *watcher, after, upTo kv.Revision) {
	events := e.Ledger.EventsAfter(kv.Key(e.at), after)
	for i := 0; i < len(events) && events[i].ModRevision <= upTo; i++ {
		got := f.Begin().Got()
		gap, isGap := errors.AsType[*value.GapError](got.Err)
		if !isGap {
			if got.Err != nil || got.Revision != events[i].ModRevision || got.Value != string(events[i].Value) {
				e.Fatalf("Get returned %v, want the update of revision %d, or a GapError", got, events[i].ModRevision)
			}
			after = got.Revision
			continue
		}
		if !errors.Is(gap, kv.ErrCompacted) || gap.Key != e.at || gap.From < after || gap.From >= events[i].ModRevision && events[i].ModRevision < upTo || gap.To != upTo {
			e.Fatalf("Get returned %v, want a GapError that matches kv.ErrCompacted, from %d to %d", got, after, upTo)
		}
		e.givesEach(f, upTo-1, upTo)
		return
	}
}

// auditChecks are the checks of V16: versions show whether an event was lost.
var auditChecks = []check{
	{"V16", "nothing-lost", "puts and deletes a key and creates it again, and ends its watch in between: no event counts as lost, and no history as replaced", 0, func(e *env) {
		f, seen := e.everyUpdate()
		for range 3 {
			e.churnKey(3, 12)
			e.faults.EndStreams(kv.ErrUnavailable)
		}
		e.givesEach(f, seen, e.set("end"))
		e.unaccused(f)
	}},
	{"V16", "nothing-lost-in-commits", "does the same by commits of several keys", suite.Commit, func(e *env) {
		f, seen := e.everyUpdate()
		for i := range 24 {
			op := kv.PutOp(e.at, fmt.Append(nil, i))
			if i%5 == 3 {
				op = kv.DeleteOp(e.at)
			}
			e.Commit(kv.PutOp(e.Key("a"), nil), op, kv.PutOp(e.Key("z"), nil))
		}
		e.givesEach(f, seen, e.set("end"))
		e.unaccused(f)
	}},
	{"V16", "nothing-lost-meanwhile", "closes the watchers, puts and deletes, and opens new watchers of the same Value: no event counts as lost", 0, func(e *env) {
		f, _ := e.everyUpdate()
		for range 4 {
			f.End()
			last := e.churnKey(2, 6)
			f = e.follow(f.Of, "the watcher that was opened again", value.EveryUpdate())
			f.Gives("last")
			e.givesEach(f, last, e.churnKey(2, 6))
		}
		e.unaccused(f)
	}},
	{"V16", "lost-put", "loses a put on its way from the store's watch: the next put proves the loss, and the history has the lost put", 0, func(e *env) {
		e.loses(fault.Puts, func() { e.set("lost"); e.set("found by this") })
	}},
	{"V16", "lost-deletion", "loses a deletion on its way from the store's watch: the next put proves the loss, and the history has the deletion", 0, func(e *env) {
		e.loses(fault.Deletes, func() { e.unset(); e.set("found by this") })
	}},
	{"V16", "lost-creation", "loses the first put after a deletion on its way from the store's watch: the next put proves the loss, and the history has the lost put", 0, func(e *env) {
		e.loses(fault.Puts, func() { e.unset(); e.set("lost"); e.set("found by this") })
	}},
}

// loses drops an event of write, and requires that the Value finds the loss by the event that follows.
func (e *env) loses(event fault.Match, write func()) {
	every, seen := e.everyUpdate()
	newest := e.follow(every.Of, "the watcher of the newest")
	newest.Gives("initial")
	e.Streaming(1)
	e.Trace.Mark("lose the next event that is a %v", event)
	e.faults.Drop(1, event)
	write()
	last := e.Ledger.Last()
	e.givesEach(every, seen, last)
	newest.Gives("found by this", value.AtLeast[string](last))
	if s := every.Of.Status(); s.Holes != 1 {
		e.Errorf("one event was lost, so Status must have one hole; %s", every.Status())
	}
	e.nextArrives(every, newest)
}

// unaccused requires that the Value has neither found a lost event nor a replaced history.
func (e *env) unaccused(f *watcher) {
	if s := f.Of.Status(); s.Holes != 0 || s.Resets != 0 {
		e.Errorf("no event was lost and no history was replaced; %s", f.Status())
	}
}
