package value_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

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
		w.Settle() // Status shows a revision only when the watchers know it
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
		puts int // puts after the restore, before the client is back
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
					w.compact() // now the versions are the same as without the restore
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

func TestV5ARestoreThatTheStreamDoesNotReportIsDetected(t *testing.T) {
	inBubble(t, v5reset+", which the check of a silent watch finds", func(w *world) {
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

// Between the check and the next read, the new history may grow until it looks like a continuation of the old one.
func TestV5AHistoryThatTheCheckFoundReplacedStaysReplaced(t *testing.T) {
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
			inBubble(t, v5reset+", and a gap for a watcher of every update", func(w *world) {
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
				w.pass(61 * time.Second) // the check finds nothing wrong
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

// The restored history has the key's next version at a revision at which a read has shown the version before. So it is another history, and not an
// event that the watch has lost. A watcher of every update has returned everything up to that read, and skips what is older.
func TestV5ARestoreAheadThatLooksLikeALostEventIsDetected(t *testing.T) {
	eachMode(t, inBubble, v5reset+", which the check of a silent watch finds", func(w *world, opts ...value.WatchOption) {
		memory := w.backend.(*memoryBackend).Store
		seen := w.put("one")
		w.backup()
		put := w.put("two")
		for range 30 {
			w.putOther()
		}
		ahead := memory.Backup()
		w.restore()
		for range 10 {
			w.putOther()
		}
		v := w.text()
		a := watch(w, v, opts...)
		a.Gives("one")
		w.Streaming(1)
		w.Silence()
		w.must(memory.Restore(ahead))
		c := a.Begin()
		w.pass(61 * time.Second)
		if len(opts) > 0 {
			c.Fails(kv.ErrReset) // as a *GapError
			c = a.Begin()
		}
		c.Gives("two")
		if a.Revision() != put || put != seen+1 {
			w.broken("the revision behind the value is %d, want %d", a.Revision(), put)
		}
		if s := v.Status(); s.Resets != 1 || s.Holes != 0 {
			w.broken("after one restore, and no lost event, Status is %+v", s)
		}
		w.put("next")
		a.Gives("next")
	})
}

func TestV5RestoredToTheSameEntry(t *testing.T) {
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
		w.put("new") // at a revision that the old history also had
		a.Gives("new")
		every.Gives("new")
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
			w.broken("12 was read, but Status says revision %d", s.Revision)
		}
		a.Close()
		w.restore()
		b := watch(w, v)
		b.Gives("one")
		if s := v.Status(); s.Revision != 2 {
			w.broken("a watcher opened after the restore is at 2, but Status says revision %d", s.Revision)
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

// A write after a restore can have the revision and the version of a write that the restore has undone.
func TestV5RestoredAndWrittenToTheSameRevision(t *testing.T) {
	inBubble(t, v5reset+", even if only its bytes differ", func(w *world) {
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

func TestV5ARestoreBetweenAReadAndItsWatchIsDetected(t *testing.T) {
	inBubble(t, "V5, a store whose history was replaced is read again", func(w *world) {
		w.put("A")
		w.must(w.backend.Backup(w.Context()))
		watcher := watch(w, w.text(), value.EveryUpdate())
		watcher.Gives("A")
		down := w.Fail(-1, kv.ErrUnavailable)
		w.EndStreams(kv.ErrUnavailable)
		w.pass(time.Second)
		w.put("B1")
		w.put("B2")
		h := w.Hold(fault.Watches)
		down.Remove()
		w.Held(h)
		w.must(w.backend.Restore(w.Context()))
		for range 10 {
			w.putOther()
		}
		h.Release()
		w.pass(2 * time.Minute)
		if r, ok := w.text().Latest(); ok {
			w.broken("a Value without a watcher has %v", r)
		}
		w.put("C")
		ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
		defer cancel()
		for {
			got, err := watcher.Get(ctx)
			if got == "C" {
				return
			}
			if gap := (*value.GapError)(nil); err != nil && !errors.As(err, &gap) {
				w.broken("Get returned %s, want C in the end", describe(got, err))
			}
		}
	})
}
