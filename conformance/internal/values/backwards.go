package values

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// backwardsChecks are those of V5: revisions that rise, and the one case in which they need not.
var backwardsChecks = []check{
	{"V5", "Restored", "reads, is cut off, and a backup with another value is restored: Get returns the backup's value", suite.Backup, func(w *world) {
		w.replaceHistory(func(kv.Revision) {})
	}},
	{"V5", "RestoredAhead", "the same, but when the store can be reached again it has passed the revision of the read", suite.Backup, func(w *world) {
		w.replaceHistory(func(read kv.Revision) {
			for w.setOther() <= read+5 {
			}
		})
	}},
	{"V5", "duplicates", "delivers every event twice: each update is returned once", 0, func(w *world) {
		every, seen := w.everyUpdate()
		newest := w.follow(every.of, "one of the newest")
		newest.gives("initial")
		w.streaming(1)
		w.Trace.Mark("deliver every event twice")
		w.faults.Duplicate(-1)
		last := w.churnKey(2, 12)
		every.givesEach(seen, last)
		newest.gives("last", value.AtLeast[string](last))
		every.nothing()
		newest.nothing()
	}},
	{"V5", "reconnections", "puts while, in turns, the store is cut off and healed and its watch is ended: revisions rise, and Gets return what was put", 0, func(w *world) {
		w.rises(func(i int) {
			switch i % 3 {
			case 0:
				w.faults.EndStreams(kv.ErrUnavailable)
			case 1:
				w.faults.Cut()
			case 2:
				w.faults.Heal()
			}
		})
	}},
	{"V5", "resyncs", "puts while history is compacted and the store's watch ends because of that: revisions rise, and Gets return what was put", suite.Compact, func(w *world) {
		w.rises(func(i int) {
			switch i % 3 {
			case 0:
				w.faults.Cut()
			case 1:
				w.forgetHistory()
			case 2:
				w.faults.EndStreams(&kv.CompactedError{})
				w.faults.Heal()
			}
		})
	}},
	{"V5", "late-read", "delays the answer of a read until the watch has delivered later changes: the answer is not taken for newer", 0, func(w *world) {
		w.set("one")
		v := w.value()
		a := w.follow(v, "the first")
		a.gives("one")
		w.streaming(1)
		answer := w.faults.Hold(fault.Gets, fault.Answered)
		b := w.follow(v, "the second") // has a read made
		w.held(answer)
		w.set("two")
		a.gives("two")
		answer.Release()
		b.gives("two")
		a.nothing()
		a.unaccused()
	}},
}

// rises puts many times, each after something that happens, and requires every third to be seen.
func (w *world) rises(happens func(i int)) {
	w.set("initial")
	f := w.follow(w.value(), "one of the newest")
	last := f.gives("initial").rev
	for i := range 24 {
		happens(i)
		text := fmt.Sprint(i)
		rev := w.set(text)
		if i%3 != 2 {
			continue
		}
		got := f.gives(text, value.AtLeast[string](rev))
		if got.rev != rev || got.rev <= last {
			w.Fatalf("the put of revision %d came as one of revision %d, after %d", rev, got.rev, last)
		}
		last = got.rev
	}
	f.unaccused()
}

// replaceHistory takes the store back to a backup while the Values cannot reach it, and does more to it before they
// can.
func (w *world) replaceHistory(more func(read kv.Revision)) {
	w.set("backup")
	for range 20 {
		w.setOther()
	}
	was := w.Get(w.All())
	restore := w.Backup()
	for range 30 {
		w.setOther()
	}
	w.set("lost")
	followers := w.both(w.value(value.WithCheck(checkEvery)))
	var read kv.Revision
	for _, f := range followers {
		read = f.gives("lost").rev
	}
	w.streaming(1)
	w.Trace.Mark("cut the Value off from the store")
	w.faults.Cut()
	restore()
	w.Ledger.Forget(was.Revision)
	more(read)
	w.Trace.Mark("heal it")
	w.faults.Heal()
	newest, every := followers[0], followers[1]
	newest.gives("backup")
	if got := every.begin().end(); !errors.As(got.err, new(*value.GapError)) || !errors.Is(got.err, kv.ErrReset) {
		w.Fatalf("Get of every update returned %v, and should return a GapError for the history that was replaced", got)
	}
	every.gives("backup")
	w.nextArrives(followers...)
}

// unchangedChecks are those of V13: reading again.
var unchangedChecks = []check{
	{"V13", "UnchangedAfterResync", "cuts the store off and compacts the history of other keys: the key is read again and unchanged, and there is nothing new", suite.Compact, func(w *world) {
		w.staysUnchanged(func() {
			w.readAfresh(1, func() {
				w.faults.Cut()
				w.forgetHistory()
				w.faults.EndStreams(&kv.CompactedError{}) // which is what not every store does to a watch that missed nothing
				w.faults.Heal()
			})
		})
	}},
	{"V13", "reconnected", "ends the store's watch in several ways: the key is read again and unchanged, and there is nothing new", 0, func(w *world) {
		w.staysUnchanged(func() {
			for _, err := range []error{kv.ErrUnavailable, &kv.CompactedError{}, kv.ErrReset, nil, kv.ErrPermission} {
				w.Trace.Mark("end the watch with: %v", err)
				w.readAfresh(1, func() { w.faults.EndStreams(err) })
			}
		})
	}},
	{"V13", "healed", "cuts the store off and heals the cut, several times: the key is unchanged, and there is nothing new", 0, func(w *world) {
		w.staysUnchanged(func() {
			for range 3 {
				_, heal := w.away()
				heal()
			}
		})
	}},
	{"V13", "streams-ended", "ends the backend's streams: the key is unchanged, and there is nothing new", suite.EndStreams, func(w *world) {
		w.staysUnchanged(w.EndStreams)
	}},
	{"V13", "checked", "reads the key again and again while its watch runs and other keys change: the key is unchanged, and there is nothing new", 0, func(w *world) {
		w.staysUnchanged(func() {
			for range 5 {
				w.setOther()
				before := w.faults.Counts().Gets
				w.until("the key is read twice more", func(c fault.Counts) bool { return c.Gets >= before+2 })
			}
		}, value.WithCheck(checkEvery))
	}},
}

// staysUnchanged requires what happens to be no news, and the next put to be.
func (w *world) staysUnchanged(happens func(), opts ...value.Option) {
	w.set("one")
	followers := w.both(w.value(opts...))
	for _, f := range followers {
		f.gives("one")
	}
	w.streaming(1)
	happens()
	for _, f := range followers {
		f.nothing() // if the key is read only now, a repeated entry comes before the next
	}
	w.nextArrives(followers...)
}
