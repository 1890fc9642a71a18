package value_test

import (
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

const (
	v5reset = "V5, a store whose history was replaced is read afresh, and what it holds is news"
	v5same  = "V5, V13: what a replaced history holds is no news if it is the very entry returned last"
)

// restore goes back to the backup.
func (w *world) restore() { w.must(w.backend.Restore(w.Context())) }
func (w *world) backup()  { w.must(w.backend.Backup(w.Context())) }

func TestV5RestoredBehind(t *testing.T) {
	inBubble(t, v5reset, func(w *world) {
		var log logbook
		w.put("old")
		w.backup()
		w.put("one")
		v := w.text(log.option())
		a := w.watchFrom("two", v)
		before := a.Revision()
		w.restore()
		a.Gives("old")
		if a.Revision() >= before {
			w.broken("Revision is %d, it was %d before the restore", a.Revision(), before)
		}
		w.put("new")
		a.Gives("new")
		w.Settle() // Status tells of a revision only when the watchers know of it
		if s := v.Status(); s.Resets != 1 || s.Revision != 3 {
			w.broken("after a restore and a put Status is %+v", s)
		}
		if log.count("history was replaced") != 1 {
			w.broken("the log says:\n%s", &log)
		}
	})
}

func TestV5RestoredWhileAway(t *testing.T) {
	for _, c := range []struct {
		name string
		puts int // after the restore, before the client is back
		want string
	}{
		{"behind", 0, "old"},
		{"behind and written to", 3, "new"},
		{"ahead", 30, "new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, v5reset, func(w *world) {
				w.put("old")
				w.backup()
				for range 10 {
					w.put("one")
				}
				v := w.text()
				a, every := both(w, v, "one")
				seen := every.Revision()
				w.Streaming(1)
				w.Cut()
				w.restore()
				var last kv.Revision = 2
				for range c.puts {
					last = w.put("new")
				}
				if c.name != "behind" {
					w.compact() // versions are as they would be, had nothing happened
				}
				w.EndStreams(kv.ErrReset)
				w.Heal()
				a.Gives(c.want)
				every.HasGap(seen, last, kv.ErrReset)
				every.Gives(c.want)
				w.put("next")
				a.Gives("next")
				every.Gives("next")
			})
		})
	}
}

func TestV5RestoredUnnoticedByTheStream(t *testing.T) {
	inBubble(t, v5reset+", found by the check after a silence", func(w *world) {
		w.put("old")
		w.backup()
		for range 10 {
			w.put("one")
		}
		v := w.text()
		a := watch(w, v)
		a.Gives("one")
		w.Streaming(1)
		w.Silence()
		w.restore()
		c := a.Begin()
		w.pass(61 * time.Second)
		c.Gives("old")
		w.put("next")
		a.Gives("next")
	})
}

// Between the check and the read that follows it, the new history may grow to look like the old one gone on.
func TestV5WhatTheCheckHasFoundReplacedStaysSo(t *testing.T) {
	for _, c := range []struct {
		name    string
		restore func(w *world)
		after   func(w *world) kv.Revision
	}{
		{"a revision that went back", func(w *world) { w.restore() }, func(w *world) kv.Revision {
			for range 20 {
				w.putOther()
			}
			return w.put("new")
		}},
		{"another entry", func(w *world) {
			w.restore()
			w.put("other")
			for range 20 {
				w.putOther()
			}
		}, func(w *world) kv.Revision {
			w.delete()
			return w.put("new")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, v5reset+", and a gap to a watcher for every update", func(w *world) {
				seen := w.put("old")
				w.backup()
				v := w.text()
				a := watch(w, v, value.EveryUpdate())
				a.Gives("old")
				w.Streaming(1)
				for range 9 {
					w.putOther()
				}
				if c.name == "another entry" {
					seen = w.put("one")
					a.Gives("one")
				}
				w.Silence()
				w.pass(61 * time.Second) // the check sees that all is well
				check := w.Hold(fault.Gets, fault.Answered)
				c.restore(w)
				w.pass(61 * time.Second)
				w.Held(check)
				again := w.Hold(fault.Gets)
				check.Release()
				w.Held(again)
				last := c.after(w)
				again.Release()
				a.HasGap(max(seen, a.Revision()), last, kv.ErrReset)
				a.Gives("new")
				if s := v.Status(); s.Resets != 1 {
					w.broken("after one restore Status is %+v", s)
				}
			})
		})
	}
}

func TestV4OutagesAfterAResetAreNoGaps(t *testing.T) {
	inBubble(t, outages+", also after a reset and after a gap", func(w *world) {
		w.backup()
		w.putNumbers(1, 3)
		v := w.number()
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(3)
		w.Streaming(1)
		outage := func(first, last int) {
			w.Cut()
			w.EndStreams(kv.ErrUnavailable)
			w.Settle()
			w.putNumbers(first, last)
			w.Heal()
			a.GivesEach(numbers(first, last)...)
			w.Settle()
		}
		w.restore()
		a.Fails(kv.ErrReset)
		a.Fails(value.ErrDeleted)
		outage(11, 20)
		w.Cut()
		seen := a.Revision()
		last := w.putNumbers(21, 30)
		w.compact()
		w.Heal()
		a.HasGap(seen, last, kv.ErrCompacted)
		a.GivesEach(30)
		outage(31, 40)
		if s := v.Status(); s.Resets != 1 || s.Revision < a.Revision() {
			w.broken("after one reset and two outages Status is %+v", s)
		}
	})
}

func TestV5RestoredToTheVeryEntry(t *testing.T) {
	inBubble(t, v5same, func(w *world) {
		w.put("one")
		v := w.text()
		a, every := both(w, v, "one")
		w.backup()
		w.putOther()
		w.putOther()
		w.restore()
		w.Settle()
		a.HasNothing()
		every.HasNothing()
		w.put("two")
		a.Gives("two")
		every.Gives("two")
	})
}

func TestV4WhatAReplacedHistoryCutShortIsAGap(t *testing.T) {
	inBubble(t, "V4, a replaced history is one *GapError, if there was anything left to tell of it", func(w *world) {
		w.backup()
		a := w.everyFrom(0, value.WithBacklog(1))
		w.putNumbers(1, 5)
		w.delete()
		w.Settle()
		a.GivesEach(numbers(1, 5)...) // out of the store's history, up to the deletion, which is next
		seen := a.Revision()
		w.putNumbers(6, 6)
		w.Settle()
		w.restore()
		w.Settle()
		a.HasGap(seen, 1, kv.ErrReset)
		a.Fails(value.ErrDeleted)
		w.putNumbers(7, 8)
		a.GivesEach(numbers(7, 8)...)
	})
}

func TestV4AWatcherThatCatchesUpIsNotAheadOfTheWatch(t *testing.T) {
	inBubble(t, "V4, V5: what replaces a history that only a watcher catching up has seen is not taken for that", func(w *world) {
		a := w.everyFrom(0, value.WithBacklog(1))
		w.putNumbers(1, 5)
		w.backup()
		w.Settle()
		w.Silence() // the Value's watch, not the one by which the watcher catches up
		w.putNumbers(6, 9)
		a.GivesEach(numbers(1, 5)...)
		w.restore()
		w.putNumbers(10, 10)
		w.EndStreams(kv.ErrUnavailable)
		a.GivesEach(10)
	})
}

func TestV5RestoredToBeforeTheKey(t *testing.T) {
	inBubble(t, "V5, V6: a key that a replaced history lacks was deleted", func(w *world) {
		w.backup()
		w.put("one")
		seen := w.put("two")
		v := w.text()
		a, every := both(w, v, "two")
		w.restore()
		a.Fails(value.ErrDeleted)
		every.HasGap(seen, 1, kv.ErrReset)
		every.Fails(value.ErrDeleted)
		w.put("new") // at a revision that the old history had as well
		a.Gives("new")
		every.Gives("new")
	})
}

func TestV4UnreadUpdatesOfAReplacedHistoryAreAGap(t *testing.T) {
	inBubble(t, "V4, every update or one honest gap, when history is replaced", func(w *world) {
		w.backup()
		w.putNumbers(1, 1)
		v := w.number()
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(1)
		seen := a.Revision()
		w.putNumbers(2, 5)
		w.Settle()
		w.restore()
		w.Settle()
		a.HasGap(seen, 1, kv.ErrReset) // two to five will never come
		a.Fails(value.ErrDeleted)
		w.putNumbers(1, 4)
		a.GivesEach(numbers(1, 4)...)
	})
}

func TestV4AGapBeginsWhereTheWatcherIs(t *testing.T) {
	inBubble(t, "V4, a *GapError says from which revision on, also halfway through catching up", func(w *world) {
		w.backup()
		a := w.everyFrom(0, value.WithBacklog(1))
		w.putNumbers(1, 9)
		w.Settle()
		a.GivesEach(numbers(1, 4)...)
		w.restore()
		w.Settle()
		a.HasGap(a.Revision(), 1, kv.ErrReset)
		a.Fails(value.ErrDeleted)
	})
}

func TestV4UpdatesSinceAReplacedHistoryAreAGap(t *testing.T) {
	inBubble(t, "V4, every update or one honest gap, when history is replaced", func(w *world) {
		w.backup()
		w.putNumbers(1, 1)
		a := w.everyFrom(2)
		seen := a.Revision()
		w.Streaming(1)
		w.Cut()
		w.restore()
		w.putNumbers(7, 8) // seven is never seen, and eight is put at the revision of two
		last := w.delete()
		w.EndStreams(kv.ErrReset)
		w.Heal()
		a.HasGap(seen, last, kv.ErrReset)
		a.Fails(value.ErrDeleted)
	})
}

// Filters and decoders are the program's own code, and may take their time.
func TestV4WhatFollowsAResetIsNotMissedByAWatcherThatIsBusy(t *testing.T) {
	inBubble(t, v4+", also those that follow a replaced history", func(w *world) {
		w.putNumbers(0, 0)
		w.backup()
		decoding, decode := make(chan struct{}), make(chan struct{})
		v := value.New(w.Store, w.key, func(b []byte) (int, error) {
			if string(b) == "20" {
				close(decoding)
				<-decode
			}
			return value.JSON[int](b)
		})
		a, idle := watch(w, v, value.EveryUpdate()), watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		idle.GivesEach(0)
		seen := w.putNumbers(1, 5)
		w.Settle()
		asking, answer := make(chan struct{}), make(chan struct{})
		c := a.Begin(value.Where(func(n int) bool {
			if n == 5 {
				close(asking)
				<-answer
			}
			return n == 0
		}))

		<-asking
		h := w.Hold(fault.Watches)
		w.restore()
		w.Held(h)
		w.putNumbers(10, 20) // some at revisions that the watcher has seen, some beyond
		h.Release()
		<-decoding // the last of them
		close(answer)
		err := c.Got().Err
		var gap *value.GapError
		if !errors.As(err, &gap) || gap.From != seen || gap.To != 2 || !errors.Is(err, kv.ErrReset) {
			w.broken("Get returned the error %v, want a *GapError from %d to 2", err, seen)
		}
		a.Gives(0)
		close(decode)
		a.GivesEach(numbers(10, 20)...)
	})
}

func TestV5StatusForgetsTheRevisionsOfAReplacedHistory(t *testing.T) {
	inBubble(t, "V11, Status gives the revision that is known", func(w *world) {
		w.put("one")
		w.backup()
		for range 10 {
			w.put("two")
		}
		v := w.text()
		a := watch(w, v)
		a.Gives("two")
		if s := v.Status(); s.Revision != 12 {
			w.broken("when 12 was read Status says revision %d", s.Revision)
		}
		a.Close()
		w.restore()
		b := watch(w, v)
		b.Gives("one")
		if s := v.Status(); s.Revision != 2 {
			w.broken("a watcher opened after the restore is at 2 and Status says revision %d", s.Revision)
		}
	})
}

func TestV5ResetAgainAndAgain(t *testing.T) {
	inBubble(t, v5reset+", every time", func(w *world) {
		w.put("old")
		w.backup()
		a := watch(w, w.text())
		a.Gives("old")
		for range 20 {
			w.put("new")
			w.put("newer")
			w.Settle()
			a.Gives("newer")
			w.Fail(2, kv.ErrUnavailable, fault.Reads)
			w.restore()
			a.Gives("old")
		}
	})
}

// What reads have shown of the history that is gone is not owed by the watch of the one that there is.
func TestV12TheWatchAfterARestoreIsNotBehind(t *testing.T) {
	eachMode(t, inBubble, "V12: one watch of the store, which is not begun again for what a restore has undone", func(w *world, opts ...value.WatchOption) {
		w.put("old")
		w.backup()
		for range 10 {
			w.put("new")
		}
		a := watch(w, w.text(), opts...)
		a.Gives("new")
		w.restore()
		w.pass(time.Minute)
		begun := w.Counts().Watches
		w.pass(time.Hour)
		if n := w.Counts().Watches - begun; n != 0 {
			w.broken("nothing has happened for an hour, and the watch was begun %d times", n)
		}
	})
}

// What was written after a restore can have the revisions and the version of what the restore has undone.
func TestV5RestoredAndWrittenToTheSameRevision(t *testing.T) {
	inBubble(t, v5reset+", also where only its bytes are another's", func(w *world) {
		w.put("old")
		w.backup()
		first := w.put("one")
		v := w.text()
		a, every := both(w, v, "one")
		w.Cut() // so that no stream sees the restore
		w.restore()
		second := w.put("other")
		w.Heal()
		w.pass(61 * time.Second)
		if first != second {
			w.broken("the test itself: revisions %d and %d", first, second)
		}
		a.Gives("other")
		every.HasGap(first, second, kv.ErrReset)
		every.Gives("other")
	})
}
