package values

import (
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// everyViewChecks are the checks of M8, and the checks of V5 and V12 for a range.
var everyViewChecks = []check{
	{"M8", "merged", "puts and deletes while no watcher is read: the watcher of the newest returns one View with the changes merged, the watcher of every update returns one View for each change", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		m := e.newMap()
		newest, every := e.readBoth(m)
		newest.next()
		every.next()
		e.Put(e.in("b"), "1")
		e.Delete(e.in("a"))
		e.Put(e.in("c"), "1")
		e.Delete(e.in("b"))
		last := e.Put(e.in("b"), "2")
		e.read(m).next(viewAtLeast(last)) // so that the Map has received the last change
		v := newest.next()
		e.holds(v, "b=2 c=1")
		e.changed(v, "a:1->none", "b:none->2", "c:none->1")
		newest.HasNothing()
		for _, want := range []string{"b:none->1", "a:1->none", "c:none->1", "b:1->none", "b:none->2"} {
			e.changed(every.next(), want)
		}
		every.HasNothing()
		e.nextKeyArrives(newest, every)
	}},
	{"M8", "streams-lost", "puts and deletes, and ends the watch, while one watcher is read and another is not: the latter returns one View for each change, in order", 0, func(e *env) {
		e.eachChange(1000, func(i int) {
			if i%20 == 10 {
				e.faults.EndStreams(kv.ErrUnavailable)
			}
		})
	}},
	{"M8", "beyond-the-backlog", "puts and deletes while a watcher with a backlog of one update does not read: it then returns one View for each change, from the store's history", 0, func(e *env) {
		e.eachChange(1, func(int) {})
	}},
	{"M8", "during-a-cut", "cuts the store off while others put and delete: one View for each change is returned after the heal", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		every := e.read(e.newMap(), value.EveryUpdate())
		every.next()
		e.Streaming(1)
		others, heal := e.away()
		last := e.churnRange(others, 20)
		heal()
		every.comesTo(last)
		e.nextKeyArrives(every)
	}},
	{"M8", "one-gap", "cuts the store off, puts and deletes, compacts, and heals: each change is one View, or there is one GapError, and the next Changes are since the View before the GapError", suite.Compact, func(e *env) {
		e.Put(e.in("a"), "1")
		newest, every := e.readBoth(e.newMap())
		newest.next()
		every.next()
		e.Streaming(1)
		others, heal := e.away()
		last := e.churnRange(others, 12)
		e.forgetHistoryVia(others)
		heal()
		newest.next(viewAtLeast(last))
		every.comesToOrGap(e.nextKeyArrives(newest), last)
	}},
	{"V5", "range", "puts keys of a range while the store is cut off and healed and its watch is ended, in turns: the revisions of the Views rise", 0, func(e *env) {
		r := e.read(e.newMap())
		r.next()
		for i := range 18 {
			switch i % 3 {
			case 0:
				e.faults.EndStreams(kv.ErrUnavailable)
			case 1:
				e.faults.Cut()
			case 2:
				e.faults.Heal()
			}
			rev := e.Put(e.in(fmt.Sprint(i%4)), fmt.Sprint(i))
			if i%3 == 2 {
				r.next(viewAtLeast(rev))
			}
		}
		if s := r.Of.Status(); s.Holes != 0 || s.Resets != 0 {
			e.Errorf("no event was lost and no history was replaced; %s", r.Status())
		}
		e.nextKeyArrives(r)
	}},
	{"V12", "range", "opens two hundred watchers of one Map, and puts: they share one watch and one read, and each value is decoded once", 0, func(e *env) {
		decoder := new(counted)
		e.Put(e.in("a"), "1")
		e.Put(e.in("b"), "1")
		m := e.newMapWith(decoder.decode)
		var readers []*mapReader
		for i := range 200 {
			if i%10 == 0 {
				readers = append(readers, e.read(m, value.EveryUpdate()))
			} else {
				readers = append(readers, e.read(m))
			}
		}
		for i := range 2 {
			for _, r := range readers {
				r.next()
			}
			if n := e.faults.Counts(); n.Streams > 1 || n.Watches > 1 {
				e.Fatalf("%d watchers of one Map made these calls of the store: %v", len(readers), n)
			}
			if n := decoder.calls.Load(); n != int64(2+i) {
				e.Fatalf("there were %d values, but %d calls of the decoder", 2+i, n)
			}
			e.Put(e.in("b"), fmt.Sprint(i))
		}
		for _, r := range readers {
			r.End()
		}
		e.nothingLeft()
	}},
}

// eachChange requires that a watcher of every update returns one View for each change of a range. A watcher of the newest keeps up during that
// time.
func (e *env) eachChange(backlog int, happens func(i int)) {
	e.Put(e.in("a"), "1")
	newest, every := e.readBoth(e.newMap(value.WithBacklog(backlog)))
	newest.next()
	every.next()
	e.Streaming(1)
	for i := range 60 {
		happens(i)
		last := e.churnRange(e.Store, 1)
		if i%10 == 9 {
			newest.next(viewAtLeast(last))
		}
	}
	every.comesTo(e.Ledger.Last())
	e.nextKeyArrives(newest, every)
}

// churnRange puts keys of the range, and sometimes deletes one. The last change is a put.
func (e *env) churnRange(s suite.Store, n int) (last kv.Revision) {
	for i := range n {
		number := len(e.Ledger.EventsAfter(e.part(), 0))
		if number%4 == 3 {
			_, err := e.TryDelete(s, e.in(fmt.Sprint((number-1)%5)))
			e.Must("delete", err)
		}
		var err error
		last, err = e.TryPut(s, e.in(fmt.Sprint((number+i)%5)), fmt.Sprint(number))
		e.Must("put", err)
	}
	return last
}
