package values

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// changesChecks are the checks of M3.
var changesChecks = []check{
	{"M3", "in-turns", "puts and deletes keys and creates them again, and gets after one change and after several: the View before with the changes is the next View", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		e.Put(e.in("b"), "1")
		newest, every := e.readBoth(e.newMap())
		e.changed(newest.next(), "a:none->1", "b:none->1")
		every.next()
		e.Put(e.in("a"), "2")
		last := e.Put(e.in("a"), "3")
		e.changed(newest.next(viewAtLeast(last)), "a:1->3")
		e.Put(e.in("c"), "4")
		e.Delete(e.in("c"))
		e.Delete(e.in("b"))
		last = e.Put(e.in("b"), "5")
		e.changed(newest.next(viewAtLeast(last)), "b:1->5")
		e.Delete(e.in("a"))
		last = e.Put(e.in("d"), "6")
		e.changed(newest.next(viewAtLeast(last)), "a:3->none", "d:none->6")
		every.comesTo(last)
		e.nextKeyArrives(newest, every)
	}},
	{"M3", "while-writing", "gets while others put and delete eight keys: the View before with the changes is the next View, each time", 0, func(e *env) {
		newest, every := e.readBoth(e.newMap())
		newest.next()
		every.next()
		others := e.Traffic(3, func(w, i int) error {
			key := e.in(fmt.Sprint((i + 3*w) % 8))
			if _, err := e.TryPut(e.Store, key, fmt.Sprintf("%d of %d", i, w)); err != nil || i%3 > 0 {
				return err
			}
			_, err := e.TryDelete(e.Store, key)
			return err
		})
		for i := range 15 {
			others.More()
			newest.next()
			every.next()
			if i == 7 {
				e.faults.EndStreams(kv.ErrUnavailable)
			}
		}
		others.Stop()
		last := e.Put(e.in("last"), "last")
		newest.comesTo(last)
		every.comesTo(last)
		e.nextKeyArrives(newest, every)
	}},
	{"M3", "skipped-and-cancelled", "skips Views by a filter, and cancels a Get: the next Changes are since the View that was returned last", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		r := e.read(e.newMap())
		r.next()
		e.Streaming(1)
		c := r.Begin()
		c.Cancel()
		e.Put(e.in("a"), "2")
		e.Put(e.in("b"), "2")
		last := e.Put(e.in("c"), "2")
		three := value.Where(func(v value.View[*string]) bool { return v.Len() == 3 })
		e.changed(r.next(viewAtLeast(last), three), "a:1->2", "b:none->2", "c:none->2")
		e.nextKeyArrives(r)
	}},
}

// removalChecks are the checks of M4.
var removalChecks = []check{
	{"M4", "first", "deletes keys and puts others, and then gets: the removals are in Changes, before what was put", 0, func(e *env) {
		for _, name := range []string{"b", "c", "d"} {
			e.Put(e.in(name), "1")
		}
		newest, every := e.readBoth(e.newMap())
		newest.next()
		every.next()
		e.Put(e.in("a"), "2")
		e.Delete(e.in("d"))
		last := e.Delete(e.in("b"))
		e.Delete(e.in("never there")) // changes nothing
		e.changed(newest.next(viewAtLeast(last)), "b:1->none", "d:1->none", "a:none->2")
		every.comesTo(last)
		e.nextKeyArrives(newest, every)
	}},
	{"M4", "while-cut-off", "deletes keys, and creates one of them again, while the store is cut off: the removals are reported after the heal", 0, func(e *env) {
		e.removedWhileAway(func(suite.Store) {})
	}},
	{"M4", "compacted", "the same, with the history of the deletions compacted", suite.Compact, func(e *env) {
		e.removedWhileAway(func(others suite.Store) { e.forgetHistoryVia(others) })
	}},
}

// removedWhileAway deletes keys while the Map cannot reach the store.
func (e *env) removedWhileAway(more func(others suite.Store)) {
	for _, name := range []string{"b", "c", "d"} {
		e.Put(e.in(name), "1")
	}
	newest, every := e.readBoth(e.newMap())
	newest.next()
	every.next()
	e.Streaming(1)
	others, heal := e.away()
	var last kv.Revision
	for _, name := range []string{"b", "c", "d"} {
		var err error
		last, err = e.TryDelete(others, e.in(name))
		e.Must("delete", err)
	}
	for _, name := range []string{"a", "c"} {
		var err error
		last, err = e.TryPut(others, e.in(name), "1")
		e.Must("put", err)
	}
	more(others)
	heal()
	e.changed(newest.next(viewAtLeast(last)), "b:1->none", "d:1->none", "a:none->1", "c:1->1")
	every.comesToOrGap(e.nextKeyArrives(newest), last)
}

// unchangedKeyChecks are the checks of M6.
var unchangedKeyChecks = []check{
	{"M6", "reconnected", "ends the store's watch in several ways: the range is read again and unchanged, Get returns nothing new, and nothing is decoded again", 0, func(e *env) {
		decoder := new(counted)
		newest, every := e.readBoth(e.newMapWith(decoder.decode))
		last := e.twenty()
		newest.next(viewAtLeast(last))
		every.comesTo(last)
		e.Streaming(1)
		decoded := decoder.calls.Load()
		for _, err := range []error{kv.ErrUnavailable, &kv.CompactedError{}, kv.ErrReset, nil, kv.ErrPermission} {
			e.Trace.Mark("end the watch with: %v", err)
			e.ReadAgain(1, func() { e.faults.EndStreams(err) })
		}
		newest.HasNothing()
		if n := decoder.calls.Load(); n != decoded {
			e.Fatalf("nothing has changed, but %d values were decoded again", n-decoded)
		}
		e.Put(e.in("~next"), "next")
		e.changed(newest.next(), "~next:none->next")
		newest.judge()
	}},
	{"M6", "missed", "cuts the store off, puts one of twenty keys and deletes another, and compacts: Changes has only these two, and one value is decoded", suite.Compact, func(e *env) {
		decoder := new(counted)
		last := e.twenty()
		r := e.read(e.newMapWith(decoder.decode))
		r.comesTo(last)
		e.Streaming(1)
		decoded := decoder.calls.Load()
		others, heal := e.away()
		_, err := e.TryPut(others, e.in("07"), "2")
		e.Must("put", err)
		last, err = e.TryDelete(others, e.in("08"))
		e.Must("delete", err)
		e.forgetHistoryVia(others)
		heal()
		e.changed(r.next(viewAtLeast(last)), "08:1->none", "07:1->2")
		if n := decoder.calls.Load(); n != decoded+1 {
			e.Fatalf("one value has changed, but %d values were decoded", n-decoded)
		}
		e.nextKeyArrives(r)
	}},
	{"M6", "checked", "reads the range many times while its watch runs and other keys change: Get returns nothing new, and nothing is decoded again", 0, func(e *env) {
		decoder := new(counted)
		last := e.twenty()
		newest, every := e.readBoth(e.newMapWith(decoder.decode, value.WithCheck(checkEvery)))
		newest.comesTo(last)
		every.comesTo(last)
		e.Streaming(1)
		decoded := decoder.calls.Load()
		for range 3 {
			e.neighbours("1")
			before := e.faults.Counts().Gets
			e.Until("the range is read twice more", func(c fault.Counts) bool { return c.Gets >= before+2 })
		}
		newest.HasNothing()
		every.HasNothing()
		if n := decoder.calls.Load(); n != decoded {
			e.Fatalf("nothing has changed, but %d values were decoded again", n-decoded)
		}
		e.nextKeyArrives(newest, every)
	}},
}

// counted is a decoder that counts its calls.
type counted struct{ calls atomic.Int64 }

func (c *counted) decode(b []byte) (*string, error) {
	c.calls.Add(1)
	return textOrBad(b)
}

// twenty puts twenty keys.
func (e *env) twenty() (last kv.Revision) {
	for i := range 20 {
		last = e.Put(e.in(fmt.Sprintf("%02d", i)), "1")
	}
	return last
}

// comesToOrGap reads until a View of revision rev or later, after a compaction. Views up to a revision may be missing if one GapError reports
// that. It may also follow the last of them: a store may not know that what is gone was of other keys. Then comesToOrGap judges everything that
// the watcher has returned.
func (r *mapReader) comesToOrGap(rev, missing kv.Revision) {
	for seen := kv.Revision(0); seen < rev; {
		v, err := r.Watcher.Next()
		if err != nil {
			r.isGap(err, missing)
			continue
		}
		seen = r.returned(v, nil).Revision()
	}
	r.HasNothing()
	r.judge()
}

// isGap requires that err is the only GapError, and that the gap ends where the history is known again.
func (r *mapReader) isGap(err error, upTo kv.Revision) {
	gap, ok := asGap(err)
	seen := r.given[len(r.given)-1].Revision()
	if !ok || r.gaps > 0 || gap.Range != r.e.part() || gap.Key != "" || gap.From < seen || gap.To < upTo {
		r.e.Fatalf("Get of %s returned the error %q after the View of revision %d, want at most one *GapError of the range, up to revision %d or later",
			r.Name, err, seen, upTo)
	}
	events := r.e.Ledger.EventsAfter(r.e.part(), seen)
	if i := slices.IndexFunc(events, func(event kv.Event) bool { return event.ModRevision > gap.From }); i > 0 {
		r.e.Fatalf("Get of %s returned the error %q, but had to return the change of revision %d first", r.Name, err, events[0].ModRevision)
	}
	r.gaps, r.gapAt = r.gaps+1, len(r.given)
}
