package values

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// everyUpdateChecks are those of V4: watchers that asked for each update. How much memory one that is behind holds
// is not measured here.
var everyUpdateChecks = []check{
	{"V4", "in-order", "four writers put, delete and put again, concurrently: each update is returned, once and in order", 0, func(w *world) {
		f, seen := w.everyUpdate()
		f.givesEach(seen, w.churnKey(4, 20))
		f.nothing()
	}},
	{"V4", "beyond-the-backlog", "puts hundreds of times while a watcher with a backlog of one update does not read: it then reads them from the store's history", 0, func(w *world) {
		f, seen := w.everyUpdate(value.WithBacklog(1))
		last := w.burst(8, 300)
		f.givesEach(seen, last)
		f.givesEach(last, w.burst(4, 40))
		f.nothing()
	}},
	{"V4", "join-late", "opens a watcher when there is history already, and another later: each begins at the newest value, and misses nothing after it", 0, func(w *world) {
		first, seen := w.everyUpdate()
		middle := w.churnKey(2, 10)
		second := w.follow(first.of, "one that came later", value.EveryUpdate())
		second.gives("last")
		last := w.churnKey(2, 10)
		second.givesEach(middle, last)
		first.givesEach(seen, last)
	}},
	{"V4", "streams-lost", "ends the watch of the store after every fifth put: each update comes, once and in order", 0, func(w *world) {
		f, seen := w.everyUpdate()
		for i := range 40 {
			w.set(fmt.Sprint(i))
			if i%5 == 0 {
				w.faults.EndStreams(kv.ErrUnavailable)
			}
		}
		f.givesEach(seen, w.set("last"))
		f.nothing()
	}},
	{"V4", "during-a-cut", "cuts the store off while others put and delete: each update of that time is returned after the heal", 0, func(w *world) {
		f, seen := w.everyUpdate()
		others, heal := w.away()
		for i := range 12 {
			if _, err := w.TryPut(others, w.at, fmt.Sprint(i)); i%4 != 3 {
				w.Must("put", err)
				continue
			}
			_, err := w.TryDelete(others, w.at)
			w.Must("delete", err)
		}
		heal()
		f.givesEach(seen, w.set("last"))
		f.nothing()
	}},
	{"V4", "streams-ended", "ends the backend's streams again and again while others write: each update is returned, once and in order", suite.EndStreams, func(w *world) {
		f, seen := w.everyUpdate()
		for i := range 4 {
			w.set(fmt.Sprint(i))
			w.EndStreams()
			w.set(fmt.Sprint(i, " again"))
		}
		f.givesEach(seen, w.set("last"))
		f.nothing()
	}},
	{"V4", "one-gap", "cuts the store off, puts nine times, compacts, and heals: each update comes, or one GapError and the newest", suite.Compact, func(w *world) {
		f, seen := w.everyUpdate()
		w.streaming(1)
		others, heal := w.away()
		var last kv.Revision
		for i := range 9 {
			rev, err := w.TryPut(others, w.at, fmt.Sprint(i))
			w.Must("put", err)
			last = rev
		}
		w.forgetHistoryVia(others)
		heal()
		f.givesEachOrOneGap(seen, last)
		// One at a time: that it follows what was returned is plain from its version, also to a Value that learns of the
		// compaction only now. Of more the first would be lost, and a GapError right.
		w.nextArrives(f)
		w.nextArrives(f)
	}},
	{"V4", "far-behind", "compacts what a watcher with a backlog of one update has yet to read: it returns the updates at hand, then one GapError, and the newest value", suite.Compact, func(w *world) {
		f, seen := w.everyUpdate(value.WithBacklog(1))
		quick := w.follow(f.of, "one that is quick")
		quick.gives("initial")
		last := w.burst(4, 50)
		for got := (gotten{}); got.rev < last; { // which its watch brings, and no read: the Value itself is not behind
			if got = quick.begin().end(); got.err != nil {
				w.Fatalf("Get of %s returned %v", quick.name, got)
			}
		}
		w.forgetHistory()
		f.givesEachOrOneGap(seen, last)
		// One at a time: of more it would ask the history since what it returned last, and that is forgotten too.
		w.nextArrives(f)
		w.nextArrives(f)
	}},
	{"V4", "no-gap", "cuts the store off, compacts the history of other keys only, and heals the cut: there is no gap", suite.Compact, func(w *world) {
		f, seen := w.everyUpdate()
		w.streaming(1)
		others, heal := w.away()
		w.forgetHistoryVia(others)
		heal()
		// One put first: that it follows what was returned is plain from its version, even if it comes before the Value
		// has read again. Of several the first would be lost, and a GapError right.
		rev := w.set("first")
		f.givesEach(seen, rev)
		f.givesEach(rev, w.churnKey(2, 5))
	}},
}

// everyUpdate opens a watcher of every update that has returned "initial", at revision seen.
func (w *world) everyUpdate(opts ...value.Option) (f *follower, seen kv.Revision) {
	w.set("initial")
	f = w.follow(w.value(opts...), "one of every update", value.EveryUpdate())
	return f, f.gives("initial").rev
}

// churnKey puts and deletes the key of the Values, by several writers at once, and puts "last".
func (w *world) churnKey(writers, n int) (last kv.Revision) {
	w.Parallel(writers, func(writer int) error {
		for i := range n {
			var err error
			if i%4 == writer%4 {
				_, err = w.TryDelete(w.Store, w.at)
			} else {
				_, err = w.TryPut(w.Store, w.at, fmt.Sprintf("%d of %d", i, writer))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return w.set("last")
}

// givesEachOrOneGap requires every update after one revision and up to another; from any on they may be missing,
// if a GapError says so, and the newest follows.
func (f *follower) givesEachOrOneGap(after, upTo kv.Revision) {
	events := f.w.Ledger.EventsAfter(kv.Key(f.w.at), after)
	for i := 0; i < len(events) && events[i].ModRevision <= upTo; i++ {
		got := f.begin().end()
		gap, isGap := errors.AsType[*value.GapError](got.err)
		if !isGap {
			if got.err != nil || got.rev != events[i].ModRevision || got.value != string(events[i].Value) {
				f.w.Fatalf("Get returned %v, and should return the update of revision %d, or a GapError", got, events[i].ModRevision)
			}
			after = got.rev
			continue
		}
		if !errors.Is(gap, kv.ErrCompacted) || gap.Key != f.w.at || gap.From < after || gap.From >= events[i].ModRevision && events[i].ModRevision < upTo || gap.To != upTo {
			f.w.Fatalf("Get returned %v, and should return one that matches kv.ErrCompacted and says from %d to %d", got, after, upTo)
		}
		f.givesEach(upTo-1, upTo)
		return
	}
}

// auditChecks are those of V16: versions show whether an event was lost.
var auditChecks = []check{
	{"V16", "nothing-lost", "puts, deletes and makes a key again, and ends its watch in between: no event is taken for lost, and no history for replaced", 0, func(w *world) {
		f, seen := w.everyUpdate()
		for range 3 {
			w.churnKey(3, 12)
			w.faults.EndStreams(kv.ErrUnavailable)
		}
		f.givesEach(seen, w.set("end"))
		f.unaccused()
	}},
	{"V16", "nothing-lost-in-commits", "does the same by commits of several keys", suite.Commit, func(w *world) {
		f, seen := w.everyUpdate()
		for i := range 24 {
			op := kv.PutOp(w.at, fmt.Append(nil, i))
			if i%5 == 3 {
				op = kv.DeleteOp(w.at)
			}
			w.Commit(kv.PutOp(w.Key("a"), nil), op, kv.PutOp(w.Key("z"), nil))
		}
		f.givesEach(seen, w.set("end"))
		f.unaccused()
	}},
	{"V16", "nothing-lost-meanwhile", "closes the watchers, puts and deletes, and opens others of the same Value: nothing is taken for lost", 0, func(w *world) {
		f, _ := w.everyUpdate()
		for range 4 {
			f.end()
			last := w.churnKey(2, 6)
			f = w.follow(f.of, "one opened again", value.EveryUpdate())
			f.gives("last")
			f.givesEach(last, w.churnKey(2, 6))
		}
		f.unaccused()
	}},
	{"V16", "lost-put", "loses a put on its way from the store's watch: the next put proves the loss, and the history has the lost put", 0, func(w *world) {
		w.loses(fault.Puts, func() { w.set("lost"); w.set("found by this") })
	}},
	{"V16", "lost-deletion", "loses a deletion on its way from the store's watch: the next put proves the loss, and the history has the deletion", 0, func(w *world) {
		w.loses(fault.Deletes, func() { w.unset(); w.set("found by this") })
	}},
	{"V16", "lost-creation", "loses the first put after a deletion on its way from the store's watch: the next put proves the loss, and the history has the lost put", 0, func(w *world) {
		w.loses(fault.Puts, func() { w.unset(); w.set("lost"); w.set("found by this") })
	}},
}

// loses requires an event of write that is lost to be found by what follows it.
func (w *world) loses(event fault.Match, write func()) {
	every, seen := w.everyUpdate()
	newest := w.follow(every.of, "one of the newest")
	newest.gives("initial")
	w.streaming(1)
	w.Trace.Mark("lose the next event that is a %v", event)
	w.faults.Drop(1, event)
	write()
	last := w.Ledger.Last()
	every.givesEach(seen, last)
	newest.gives("found by this", value.AtLeast[string](last))
	if s := every.of.Status(); s.Holes != 1 {
		w.Errorf("one event was lost; %s", every.status())
	}
	w.nextArrives(every, newest)
}

// unaccused requires that the store was not found to have lost an event, nor to have another history.
func (f *follower) unaccused() {
	if s := f.of.Status(); s.Holes != 0 || s.Resets != 0 {
		f.w.Errorf("no event was lost and no history replaced; %s", f.status())
	}
}
