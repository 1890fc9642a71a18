package values

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// backwardsChecks are the checks of V5: revisions rise, except after a restore.
var backwardsChecks = []check{
	{"V5", "Restored", "reads a key and a range, cuts the store off, and restores a backup with other values: Get returns the values of the backup", suite.Backup, func(e *env) {
		e.replaceHistory(func(kv.Revision) {})
	}},
	{"V5", "RestoredAhead", "the same, but when the cut is healed, the store has passed the revision of the read", suite.Backup, func(e *env) {
		e.replaceHistory(func(read kv.Revision) {
			for e.setOther() <= read+5 {
			}
		})
	}},
	{"V5", "duplicates", "delivers every event twice: each update is returned once", 0, func(e *env) {
		every, seen := e.everyUpdate()
		newest := e.follow(every.Of, "the watcher of the newest")
		newest.Gives("initial")
		e.Streaming(1)
		e.Trace.Mark("deliver every event twice")
		e.faults.Duplicate(-1)
		last := e.churnKey(2, 12)
		e.givesEach(every, seen, last)
		newest.Gives("last", value.AtLeast[string](last))
		every.HasNothing()
		newest.HasNothing()
	}},
	{"V5", "reconnections", "puts while the store is cut off and healed and its watch is ended, in turns: revisions rise, and Gets return what was put", 0, func(e *env) {
		e.rises(func(i int) {
			switch i % 3 {
			case 0:
				e.faults.EndStreams(kv.ErrUnavailable)
			case 1:
				e.faults.Cut()
			case 2:
				e.faults.Heal()
			}
		})
	}},
	{"V5", "resyncs", "puts while history is compacted and the store's watch ends because of that: revisions rise, and Gets return what was put", suite.Compact, func(e *env) {
		e.rises(func(i int) {
			switch i % 3 {
			case 0:
				e.faults.Cut()
			case 1:
				e.forgetHistory()
			case 2:
				e.faults.EndStreams(&kv.CompactedError{})
				e.faults.Heal()
			}
		})
	}},
	{"V5", "late-read", "delays the answer of a read until the watch has delivered later changes: the answer does not count as newer", 0, func(e *env) {
		e.set("one")
		v := e.value()
		a := e.follow(v, "the first")
		a.Gives("one")
		e.Streaming(1)
		answer := e.faults.Hold(fault.Gets, fault.Answered)
		b := e.follow(v, "the second") // makes the Value read
		e.Held(answer)
		e.set("two")
		a.Gives("two")
		answer.Release()
		b.Gives("two")
		a.HasNothing()
		e.unaccused(a)
	}},
}

// rises puts many times and calls happens before each put. It requires that every third put is returned.
func (e *env) rises(happens func(i int)) {
	e.set("initial")
	f := e.follow(e.value(), "the watcher of the newest")
	last := f.Gives("initial").Revision
	for i := range 24 {
		happens(i)
		text := fmt.Sprint(i)
		rev := e.set(text)
		if i%3 != 2 {
			continue
		}
		got := f.Gives(text, value.AtLeast[string](rev))
		if got.Revision != rev || got.Revision <= last {
			e.Fatalf("the put of revision %d was returned with revision %d, after %d", rev, got.Revision, last)
		}
		last = got.Revision
	}
	e.unaccused(f)
}

// replaceHistory takes the store back to a backup while the Values cannot reach it. It calls more before they can reach it again.
func (e *env) replaceHistory(more func(read kv.Revision)) {
	e.set("backup")
	e.Put(e.in("a"), "backup")
	e.Put(e.in("same"), "1")
	for range 20 {
		e.setOther()
	}
	was := e.Get(e.All())
	restore := e.Backup()
	for range 30 {
		e.setOther()
	}
	e.Put(e.in("a"), "lost")
	e.Put(e.in("b"), "lost")
	newestView, everyView := e.readBoth(e.newMap(value.WithCheck(checkEvery)))
	e.holds(newestView.next(), "a=lost b=lost same=1")
	e.holds(everyView.next(), "a=lost b=lost same=1")
	e.set("lost")
	followers := e.both(e.value(value.WithCheck(checkEvery)))
	var read kv.Revision
	for _, f := range followers {
		read = f.Gives("lost").Revision
	}
	e.Streaming(2)
	e.Trace.Mark("cut the Value and the Map off from the store")
	e.faults.Cut()
	restore()
	e.Ledger.Forget(was.Revision)
	more(read)
	e.Trace.Mark("heal it")
	e.faults.Heal()
	newest, every := followers[0], followers[1]
	newest.Gives("backup")
	if got := every.Begin().Got(); !errors.As(got.Err, new(*value.GapError)) || !errors.Is(got.Err, kv.ErrReset) {
		e.Fatalf("Get of the watcher of every update returned %v, want a GapError for the replaced history", got)
	}
	every.Gives("backup")
	e.nextArrives(followers...)
	e.rangeIsRestored(newestView, everyView)
}

// unchangedChecks are the checks of V13: a value that is read again and unchanged is not returned again.
var unchangedChecks = []check{
	{"V13", "UnchangedAfterResync", "cuts the store off and compacts the history of other keys: the key is read again and unchanged, and Get returns nothing new", suite.Compact, func(e *env) {
		e.staysUnchanged(func() {
			e.ReadAgain(1, func() {
				e.faults.Cut()
				e.forgetHistory()
				e.faults.EndStreams(&kv.CompactedError{}) // not every store does this to a watch that has missed nothing
				e.faults.Heal()
			})
		})
	}},
	{"V13", "reconnected", "ends the store's watch in several ways: the key is read again and unchanged, and Get returns nothing new", 0, func(e *env) {
		e.staysUnchanged(func() {
			for _, err := range []error{kv.ErrUnavailable, &kv.CompactedError{}, kv.ErrReset, nil, kv.ErrPermission} {
				e.Trace.Mark("end the watch with: %v", err)
				e.ReadAgain(1, func() { e.faults.EndStreams(err) })
			}
		})
	}},
	{"V13", "healed", "cuts the store off and heals the cut, several times: the key is unchanged, and Get returns nothing new", 0, func(e *env) {
		e.staysUnchanged(func() {
			for range 3 {
				_, heal := e.away()
				heal()
			}
		})
	}},
	{"V13", "streams-ended", "ends the backend's streams: the key is unchanged, and Get returns nothing new", suite.EndStreams, func(e *env) {
		e.staysUnchanged(e.EndStreams)
	}},
	{"V13", "checked", "reads the key many times while its watch runs and other keys change: the key is unchanged, and Get returns nothing new", 0, func(e *env) {
		e.staysUnchanged(func() {
			for range 5 {
				e.setOther()
				before := e.faults.Counts().Gets
				e.Until("the key is read twice more", func(c fault.Counts) bool { return c.Gets >= before+2 })
			}
		}, value.WithCheck(checkEvery))
	}},
}

// staysUnchanged requires that happens makes Get return nothing, and that Get returns the next put.
func (e *env) staysUnchanged(happens func(), opts ...value.Option) {
	e.set("one")
	followers := e.both(e.value(opts...))
	allGive(followers, "one")
	e.Streaming(1)
	happens()
	for _, f := range followers {
		f.HasNothing() // if the key is read only after this, a repeated entry is returned before "next"
	}
	e.nextArrives(followers...)
}
