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
		w.put("two")
		v := w.text(log.option())
		a := watch(w, v)
		wantValue(w, a, "two")
		before := a.Revision()
		w.restore()
		wantValue(w, a, "old")
		if a.Revision() >= before {
			w.broken("Revision is %d, it was %d before the restore", a.Revision(), before)
		}
		w.put("new")
		wantValue(w, a, "new")
		w.settle() // Status tells of a revision only when the watchers know of it
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
				a, every := watch(w, v), watch(w, v, value.EveryUpdate())
				wantValue(w, a, "one")
				wantValue(w, every, "one")
				seen := every.Revision()
				w.streaming(1)
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
				wantValue(w, a, c.want)
				wantGap(w, every, seen, last, kv.ErrReset)
				wantValue(w, every, c.want)
				w.put("next")
				wantValue(w, a, "next")
				wantValue(w, every, "next")
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
		wantValue(w, a, "one")
		w.streaming(1)
		w.Silence()
		w.restore()
		c := begin(w, a)
		w.pass(61 * time.Second)
		c.want(w, "old")
		w.put("next")
		wantValue(w, a, "next")
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
				wantValue(w, a, "old")
				w.streaming(1)
				for range 9 {
					w.putOther()
				}
				if c.name == "another entry" {
					seen = w.put("one")
					wantValue(w, a, "one")
				}
				w.Silence()
				w.pass(61 * time.Second) // the check sees that all is well
				check := w.Hold(fault.Gets, fault.Answered)
				c.restore(w)
				w.pass(61 * time.Second)
				w.held(check)
				again := w.Hold(fault.Gets)
				check.Release()
				w.held(again)
				last := c.after(w)
				again.Release()
				wantGap(w, a, max(seen, a.Revision()), last, kv.ErrReset)
				wantValue(w, a, "new")
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
		wantNumbers(w, a, 3, 3)
		w.streaming(1)
		outage := func(first, last int) {
			w.Cut()
			w.EndStreams(kv.ErrUnavailable)
			w.settle()
			w.putNumbers(first, last)
			w.Heal()
			wantNumbers(w, a, first, last)
			w.settle()
		}
		w.restore()
		wantErr(w, a, kv.ErrReset)
		wantErr(w, a, value.ErrDeleted)
		outage(11, 20)
		w.Cut()
		seen := a.Revision()
		last := w.putNumbers(21, 30)
		w.compact()
		w.Heal()
		wantGap(w, a, seen, last, kv.ErrCompacted)
		wantNumbers(w, a, 30, 30)
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
		a, every := watch(w, v), watch(w, v, value.EveryUpdate())
		wantValue(w, a, "one")
		wantValue(w, every, "one")
		w.backup()
		w.putOther()
		w.putOther()
		w.restore()
		w.settle()
		wantNothing(w, a)
		wantNothing(w, every)
		w.put("two")
		wantValue(w, a, "two")
		wantValue(w, every, "two")
	})
}

func TestV4WhatAReplacedHistoryCutShortIsAGap(t *testing.T) {
	inBubble(t, "V4, a replaced history is one *GapError, if there was anything left to tell of it", func(w *world) {
		w.backup()
		w.putNumbers(0, 0)
		a := watch(w, w.number(value.WithBacklog(1)), value.EveryUpdate())
		wantNumbers(w, a, 0, 0)
		w.putNumbers(1, 5)
		w.delete()
		w.settle()
		wantNumbers(w, a, 1, 5) // out of the store's history, up to the deletion, which is next
		seen := a.Revision()
		w.putNumbers(6, 6)
		w.settle()
		w.restore()
		w.settle()
		wantGap(w, a, seen, 1, kv.ErrReset)
		wantErr(w, a, value.ErrDeleted)
		w.putNumbers(7, 8)
		wantNumbers(w, a, 7, 8)
	})
}

func TestV4AWatcherThatCatchesUpIsNotAheadOfTheWatch(t *testing.T) {
	inBubble(t, "V4, V5: what replaces a history that only a watcher catching up has seen is not taken for that", func(w *world) {
		w.putNumbers(0, 0)
		a := watch(w, w.number(value.WithBacklog(1)), value.EveryUpdate())
		wantNumbers(w, a, 0, 0)
		w.putNumbers(1, 5)
		w.backup()
		w.settle()
		w.Silence() // the Value's watch, not the one by which the watcher catches up
		w.putNumbers(6, 9)
		wantNumbers(w, a, 1, 5)
		w.restore()
		w.putNumbers(10, 10)
		w.EndStreams(kv.ErrUnavailable)
		wantNumbers(w, a, 10, 10)
	})
}

func TestV5RestoredToBeforeTheKey(t *testing.T) {
	inBubble(t, "V5, V6: a key that a replaced history lacks was deleted", func(w *world) {
		w.backup()
		w.put("one")
		seen := w.put("two")
		v := w.text()
		a, every := watch(w, v), watch(w, v, value.EveryUpdate())
		wantValue(w, a, "two")
		wantValue(w, every, "two")
		w.restore()
		wantErr(w, a, value.ErrDeleted)
		wantGap(w, every, seen, 1, kv.ErrReset)
		wantErr(w, every, value.ErrDeleted)
		w.put("new") // at a revision that the old history had as well
		wantValue(w, a, "new")
		wantValue(w, every, "new")
	})
}

func TestV4UnreadUpdatesOfAReplacedHistoryAreAGap(t *testing.T) {
	inBubble(t, "V4, every update or one honest gap, when history is replaced", func(w *world) {
		w.backup()
		w.putNumbers(1, 1)
		v := w.number()
		a := watch(w, v, value.EveryUpdate())
		wantNumbers(w, a, 1, 1)
		seen := a.Revision()
		w.putNumbers(2, 5)
		w.settle()
		w.restore()
		w.settle()
		wantGap(w, a, seen, 1, kv.ErrReset) // two to five will never come
		wantErr(w, a, value.ErrDeleted)
		w.putNumbers(1, 4)
		wantNumbers(w, a, 1, 4)
	})
}

func TestV4AGapBeginsWhereTheWatcherIs(t *testing.T) {
	inBubble(t, "V4, a *GapError says from which revision on, also halfway through catching up", func(w *world) {
		w.backup()
		w.putNumbers(0, 0)
		a := watch(w, w.number(value.WithBacklog(1)), value.EveryUpdate())
		wantNumbers(w, a, 0, 0)
		w.putNumbers(1, 9)
		w.settle()
		wantNumbers(w, a, 1, 4)
		w.restore()
		w.settle()
		wantGap(w, a, a.Revision(), 1, kv.ErrReset)
		wantErr(w, a, value.ErrDeleted)
	})
}

func TestV4UpdatesSinceAReplacedHistoryAreAGap(t *testing.T) {
	inBubble(t, "V4, every update or one honest gap, when history is replaced", func(w *world) {
		w.backup()
		w.putNumbers(1, 1)
		seen := w.putNumbers(2, 2)
		a := watch(w, w.number(), value.EveryUpdate())
		wantNumbers(w, a, 2, 2)
		w.streaming(1)
		w.Cut()
		w.restore()
		w.putNumbers(7, 8) // seven is never seen, and eight is put at the revision of two
		last := w.delete()
		w.EndStreams(kv.ErrReset)
		w.Heal()
		wantGap(w, a, seen, last, kv.ErrReset)
		wantErr(w, a, value.ErrDeleted)
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
		wantNumbers(w, a, 0, 0)
		wantNumbers(w, idle, 0, 0)
		seen := w.putNumbers(1, 5)
		w.settle()
		asking, answer := make(chan struct{}), make(chan struct{})
		c := begin(w, a, value.Where(func(n int) bool {
			if n == 5 {
				close(asking)
				<-answer
			}
			return n == 0
		}))
		<-asking
		h := w.Hold(fault.Watches)
		w.restore()
		w.held(h)
		w.putNumbers(10, 20) // some at revisions that the watcher has seen, some beyond
		h.Release()
		<-decoding // the last of them
		close(answer)
		_, err := c.end()
		var gap *value.GapError
		if !errors.As(err, &gap) || gap.From != seen || gap.To != 2 || !errors.Is(err, kv.ErrReset) {
			w.broken("Get returned the error %v, want a *GapError from %d to 2", err, seen)
		}
		wantValue(w, a, 0)
		close(decode)
		wantNumbers(w, a, 10, 20)
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
		wantValue(w, a, "two")
		if s := v.Status(); s.Revision != 12 {
			w.broken("when 12 was read Status says revision %d", s.Revision)
		}
		a.Close()
		w.restore()
		b := watch(w, v)
		wantValue(w, b, "one")
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
		wantValue(w, a, "old")
		for range 20 {
			w.put("new")
			w.put("newer")
			w.settle()
			wantValue(w, a, "newer")
			w.Fail(2, kv.ErrUnavailable, fault.Reads)
			w.restore()
			wantValue(w, a, "old")
		}
	})
}

// What reads have shown of the history that is gone is not owed by the watch of the one that there is.
func TestV12TheWatchAfterARestoreIsNotBehind(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			inBubble(t, "V12: one watch of the store, which is not begun again for what a restore has undone", func(w *world) {
				w.put("old")
				w.backup()
				for range 10 {
					w.put("new")
				}
				a := watch(w, w.text(), opts...)
				wantValue(w, a, "new")
				w.restore()
				w.pass(time.Minute)
				begun := w.Counts().Watches
				w.pass(time.Hour)
				if n := w.Counts().Watches - begun; n != 0 {
					w.broken("nothing has happened for an hour, and the watch was begun %d times", n)
				}
			})
		})
	}
}

// What was written after a restore can have the revisions and the version of what the restore has undone.
func TestV5RestoredAndWrittenToTheSameRevision(t *testing.T) {
	inBubble(t, v5reset+", also where only its bytes are another's", func(w *world) {
		w.put("old")
		w.backup()
		first := w.put("one")
		v := w.text()
		a, every := watch(w, v), watch(w, v, value.EveryUpdate())
		wantValue(w, a, "one")
		wantValue(w, every, "one")
		w.Cut() // so that no stream sees the restore
		w.restore()
		second := w.put("other")
		w.Heal()
		w.pass(61 * time.Second)
		if first != second {
			w.broken("the test itself: revisions %d and %d", first, second)
		}
		wantValue(w, a, "other")
		wantGap(w, every, first, second, kv.ErrReset)
		wantValue(w, every, "other")
	})
}
