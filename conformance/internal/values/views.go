package values

import (
	"context"
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
)

// firstViewChecks are the checks of M1.
var firstViewChecks = []check{
	{"M1", "empty", "watches an empty range between neighbours: the first Get returns an empty View and does not wait", 0, func(e *env) {
		e.neighbours("0")
		newest, every := e.readBoth(e.newMap())
		e.holds(newest.next(), "")
		e.holds(every.next(), "")
		newest.HasNothing()
		e.nextKeyArrives(newest, every)
	}},
	{"M1", "emptied", "deletes the last key of a range: Get returns an empty View, not ErrDeleted", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		newest, every := e.readBoth(e.newMap())
		e.holds(newest.next(), "a=1")
		e.holds(every.next(), "a=1")
		e.Delete(e.in("a"))
		e.holds(newest.next(), "")
		e.holds(every.next(), "")
		e.nextKeyArrives(newest, every)
	}},
	{"M1", "whole", "puts 250 keys before a watcher is opened: the first View has all of them", 0, func(e *env) {
		e.fillRange(250)
		newest, every := e.readBoth(e.newMap())
		if v := newest.next(); v.Len() != 250 {
			e.Fatalf("the first View has %d keys, want 250", v.Len())
		}
		every.next()
		e.nextKeyArrives(newest, every)
	}},
	{"M1", "read-after-the-call", "puts, and opens another watcher before the store's watch has delivered the put: the first View has the put, because it comes from a new read", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		m := e.newMap()
		first := e.read(m)
		e.holds(first.next(), "a=1")
		e.Streaming(1)
		e.faults.Freeze(fault.Watches)
		e.Put(e.in("a"), "2")
		e.Put(e.in("b"), "2")
		answer := e.faults.Hold(fault.Gets, fault.Answered)
		second, third := e.readBoth(m)
		call := second.Begin()
		e.Held(answer)
		call.Waits()
		answer.Release()
		e.holds(second.viewOf(call), "a=2 b=2")
		e.holds(third.next(), "a=2 b=2")
		e.faults.Heal()
		e.holds(first.next(), "a=2 b=2")
		e.nextKeyArrives(first, second, third)
	}},
}

// viewChecks are the checks of M2 and M7: what a View shows, now and later.
var viewChecks = []check{
	{"M2", "pages", "reads a range of 250 keys while its first and its last key are put in turns: each first View is what the range held at its revision", 0, func(e *env) {
		e.fillRange(250)
		others := e.Traffic(1, func(_, i int) error { return e.putFirstAndLast(fmt.Sprint(i)) })
		var readers []*mapReader
		for i := range 6 {
			others.More()
			e.Must("put", e.putFirstAndLast(fmt.Sprint("between ", i)))
			r := e.read(e.newMap()) // a new Map, so that it makes a new read
			r.next()
			readers = append(readers, r)
		}
		others.Stop()
		for _, r := range readers {
			r.judge()
		}
	}},
	{"M2", "commits", "commits keys at both ends of a range together, many times, while the watch is ended: no View has one without the other", suite.Commit, func(e *env) {
		e.neighbours("0")
		ops := func(i int) []kv.Op {
			v := fmt.Append(nil, i)
			return []kv.Op{kv.PutOp(e.in("a"), v), kv.PutOp(e.in("m"), v), kv.PutOp(e.in("z"), v)}
		}
		e.Commit(ops(0)...)
		newest, every := e.readBoth(e.newMap())
		others := e.Traffic(1, func(_, i int) error {
			_, err := e.TryCommit(e.Store, ops(i)...)
			return err
		})
		for i := range 16 {
			others.More()
			newest.next()
			every.next()
			if i%5 == 4 {
				e.faults.EndStreams(kv.ErrUnavailable)
			}
		}
		others.Stop()
		last := e.Commit(ops(-1)...)
		newest.comesTo(last)
		every.comesTo(last)
		e.nextKeyArrives(newest, every)
	}},
	{"M2", "neighbours", "puts and deletes the keys nearest to the range, and the keys at its edges: only those at its edges are in a View", 0, func(e *env) {
		e.neighbours("0")
		e.Put(e.in(""), "0") // the prefix itself is in the range
		newest, every := e.readBoth(e.newMap())
		e.holds(newest.next(), "=0")
		e.holds(every.next(), "=0")
		e.Streaming(1)
		e.neighbours("1")
		last := e.Put(e.in("\xff\xff"), "1")
		e.holds(newest.comesTo(last), "=0 \xff\xff=1")
		e.holds(every.next(), "=0 \xff\xff=1")
		e.Delete(e.Key("map."))
		e.Delete(e.Key("map0"))
		last = e.Delete(e.in(""))
		e.holds(newest.comesTo(last), "\xff\xff=1")
		e.holds(every.next(), "\xff\xff=1")
		e.nextKeyArrives(newest, every)
	}},
	{"M2", "outages", "puts and deletes while the store is cut off and its watch is ended: each View is what the range held at its revision", 0, func(e *env) {
		newest, every := e.readBoth(e.newMap())
		for i := range 24 {
			switch i % 4 {
			case 0:
				e.faults.Cut()
			case 2:
				e.faults.EndStreams(kv.ErrUnavailable)
			case 3:
				e.faults.Heal()
			}
			e.Put(e.in(fmt.Sprint(i%5)), fmt.Sprint(i))
			if i%3 == 1 {
				e.Delete(e.in(fmt.Sprint((i + 2) % 5)))
			}
			if i%4 == 3 {
				newest.next(viewAtLeast(e.Ledger.Last()))
			}
		}
		every.comesTo(newest.given[len(newest.given)-1].Revision())
		e.nextKeyArrives(newest, every)
	}},
	{"M2", "parts", "takes parts of a View: each part has the keys and the changes in its range, and no others", 0, func(e *env) {
		for _, name := range []string{"a", "ab", "b", "c"} {
			e.Put(e.in(name), "1")
		}
		r := e.read(e.newMap())
		r.next()
		last := e.Put(e.in("ab"), "2")
		v := r.comesTo(last)
		for _, p := range []struct {
			of    kv.Range
			holds string
		}{
			{kv.Prefix(e.in("a")), "a=1 ab=2"}, {kv.Key(e.in("b")), "b=1"}, {kv.Interval(e.in("ab"), e.in("c")), "ab=2 b=1"},
			{kv.Prefix(e.in("d")), ""}, {kv.Key(e.Key("map0")), ""},
		} {
			part := v.In(p.of)
			e.holds(part, p.holds)
			if want := len(strings.Fields(p.holds)); part.Len() != want {
				e.Fatalf("the part %s of a View has %d keys, but its Len is %d", e.ShortRange(p.of), want, part.Len())
			}
			if _, ok := part.Get(e.in("c")); ok {
				e.Fatalf("the part %s of a View has a key outside its range", e.ShortRange(p.of))
			}
			if p.of.Contains(e.in("ab")) {
				e.changed(part, "ab:1->2")
			} else {
				e.changed(part)
			}
		}
		r.judge()
	}},
	{"M7", "kept", "keeps Views while the range changes, and reads them concurrently: they do not change", 0, func(e *env) {
		e.Put(e.in("a"), "1")
		e.Put(e.in("b"), "1")
		newest, every := e.readBoth(e.newMap())
		first := newest.next()
		every.next()
		over := make(chan struct{})
		wait := e.Background(2, func(int) error {
			for {
				if got := textOf(first); got != "1 1" {
					return fmt.Errorf("a View held the values \"1 1\", and now holds %q", got)
				}
				select {
				case <-over:
					return nil
				default:
					e.yield()
				}
			}
		})
		for i := range 40 {
			e.Put(e.in("a"), fmt.Sprint(i))
			if i%4 == 3 {
				e.Delete(e.in("b"))
				newest.next(viewAtLeast(e.Put(e.in("b"), fmt.Sprint(i))))
			}
		}
		every.comesTo(e.Ledger.Last())
		close(over)
		wait()
		e.changed(first, "a:none->1", "b:none->1")
		e.nextKeyArrives(newest, every)
	}},
}

// textOf returns the values of a View, as text.
func textOf(v View) string {
	var all []string
	for _, item := range v.All() {
		all = append(all, shown(&item))
	}
	return strings.Join(all, " ")
}

// yield lets other goroutines run, even on one core.
func (e *env) yield() {
	ctx, cancel := context.WithTimeout(e.Context(), checkEvery/10)
	defer cancel()
	<-ctx.Done()
}

// fillRange puts n keys of the range, by many concurrent writers: that is less work for a server than one after another.
func (e *env) fillRange(n int) {
	const writers = 32
	e.Parallel(writers, func(w int) error {
		for i := w; i < n; i += writers {
			if _, err := e.TryPut(e.Store, e.in(fmt.Sprintf("key-%03d", i)), "v"); err != nil {
				return err
			}
		}
		return nil
	})
}

// putFirstAndLast puts the first and the last key of a range that fillRange has filled.
func (e *env) putFirstAndLast(v string) error {
	if _, err := e.TryPut(e.Store, e.in("key-000"), v); err != nil {
		return err
	}
	_, err := e.TryPut(e.Store, e.in("key-249"), v)
	return err
}

// rangeIsRestored requires that the watchers return the state of the backup after the lost state, and then the next change.
func (e *env) rangeIsRestored(newest, every *mapReader) {
	v := newest.next()
	e.holds(v, "a=backup same=1")
	e.changed(v, "b:lost->none", "a:lost->backup")
	every.Fails(kv.ErrReset)
	e.holds(every.next(), "a=backup same=1")
	e.Put(e.in("next"), "1")
	e.holds(newest.next(), "a=backup next=1 same=1")
	e.holds(every.next(), "a=backup next=1 same=1")
}
