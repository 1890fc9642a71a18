package value_test

import (
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

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
		a.HasGap(seen, 1, kv.ErrReset) // two to five will never be returned
		a.Fails(value.ErrDeleted)
		w.putsArrive(a, 1, 4)
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
		w.putNumbers(7, 8) // no watcher sees seven, and eight has the revision of two
		last := w.delete()
		w.EndStreams(kv.ErrReset)
		w.Heal()
		a.HasGap(seen, last, kv.ErrReset)
		a.Fails(value.ErrDeleted)
	})
}

func TestV4UpdatesCutOffByAReplacedHistoryAreAGap(t *testing.T) {
	inBubble(t, "V4, a replaced history is one *GapError, if any of its updates were not returned yet", func(w *world) {
		w.backup()
		a := w.everyFrom(0, value.WithBacklog(1))
		w.putNumbers(1, 5)
		w.delete()
		w.Settle()
		a.GivesEach(numbers(1, 5)...) // from the store's history; the next update is the deletion
		seen := a.Revision()
		w.putNumbers(6, 6)
		w.Settle()
		w.restore()
		w.Settle()
		a.HasGap(seen, 1, kv.ErrReset)
		a.Fails(value.ErrDeleted)
		w.putsArrive(a, 7, 8)
	})
}

func TestV4AGapBeginsWhereTheWatcherIs(t *testing.T) {
	inBubble(t, "V4, a *GapError says from which revision on updates are missing, even in the middle of catching up", func(w *world) {
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

func TestV4ACatchingUpWatcherIsNotAheadOfTheWatch(t *testing.T) {
	inBubble(t, "V4, V5: if only a watcher that catches up has seen the old history, the new history is not taken for the old one", func(w *world) {
		a := w.everyFrom(0, value.WithBacklog(1))
		w.putNumbers(1, 5)
		w.backup()
		w.Settle()
		w.Silence() // silences the Value's watch, not the watch of history
		w.putNumbers(6, 9)
		a.GivesEach(numbers(1, 5)...)
		w.restore()
		w.putNumbers(10, 10)
		w.EndStreams(kv.ErrUnavailable)
		a.GivesEach(10)
	})
}

func TestV4OutagesAfterAResetAreNotGaps(t *testing.T) {
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

// Filters and decoders are code of the program, and may take long.
func TestV4ABusyWatcherMissesNothingAfterAReset(t *testing.T) {
	inBubble(t, v4+", also those that follow a replaced history", func(w *world) {
		w.putNumbers(0, 0)
		w.backup()
		decoding, asking := w.pause(), w.pause()
		v := value.New(w.Store, w.key, func(b []byte) (int, error) {
			if string(b) == "20" {
				decoding.here()
			}
			return value.JSON[int](b)
		})
		a, idle := watch(w, v, value.EveryUpdate()), watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		idle.GivesEach(0)
		seen := w.putNumbers(1, 5)
		w.Settle()
		c := a.Begin(value.Where(func(n int) bool {
			if n == 5 {
				asking.here()
			}
			return n == 0
		}))
		asking.wait()
		h := w.Hold(fault.Watches)
		w.restore()
		w.Held(h)
		w.putNumbers(10, 20) // at revisions that the watcher has seen, and at later ones
		h.Release()
		decoding.wait() // until the last number is being decoded
		asking.end()
		c.HasGap(seen, 2, kv.ErrReset)
		a.Gives(0)
		decoding.end()
		a.GivesEach(numbers(10, 20)...)
	})
}

// A key that is absent in both histories may have existed in between.
func TestV4AnAbsentKeyInTwoHistoriesMayHideAGap(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		a := w.everyFrom(1)
		gone := w.delete()
		a.Fails(value.ErrDeleted)
		w.Streaming(1)
		w.EndStreams(kv.ErrReset)
		w.Settle()
		a.HasGap(gone, gone, kv.ErrReset)
		a.HasNothing()
		w.putsArrive(a, 2, 3)
	})
}

// The next update is the same with the reset and without it.
func TestV4AResetToTheEntryAfterAGapIsNotASecondGap(t *testing.T) {
	inBubble(t, noGap, func(w *world) {
		a := w.everyFrom(1)
		seen := a.Revision()
		w.Streaming(1)
		last := w.losesForGood(2, 9)
		a.HasGap(seen, last, kv.ErrCompacted)
		w.Streaming(1) // again
		w.EndStreams(kv.ErrReset)
		w.pass(time.Second)
		a.GivesEach(9)
		a.HasNothing()
		w.putsArrive(a, 10, 11)
	})
}

func TestV4AResetToAnotherEntryAfterAGapIsASecondGap(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		seen := w.putNumbers(1, 1)
		w.backup()
		a := watch(w, w.number(), value.EveryUpdate())
		a.GivesEach(1)
		w.Streaming(1)
		last := w.losesForGood(2, 9)
		a.HasGap(seen, last, kv.ErrCompacted)
		w.Streaming(1) // again
		w.restore()
		rev := w.putNumbers(20, 20)
		w.pass(time.Second)
		got, err := a.Next()
		var gap *value.GapError
		if !errors.As(err, &gap) || !errors.Is(err, kv.ErrReset) || gap.To != rev {
			w.broken("Get returned %s, want a *GapError to %d because of a reset", describe(got, err), rev)
		}
		a.GivesEach(20)
		a.HasNothing()
	})
}

// The key may have existed in between, even if a gap was reported before.
func TestV4AResetAfterAGapThatEndsInADeletionIsASecondGap(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		a := w.everyFrom(1)
		seen := a.Revision()
		w.Streaming(1)
		to := w.losesALifeForGood(2, 3)
		a.HasGap(seen, to, kv.ErrCompacted)
		w.Streaming(1) // again
		w.EndStreams(kv.ErrReset)
		w.pass(time.Second)
		a.HasGap(seen, to, kv.ErrReset)
		a.Fails(value.ErrDeleted)
		a.HasNothing()
		w.putsArrive(a, 4, 5)
	})
}
