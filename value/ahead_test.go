package value_test

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// aheadOfTheWatch is a watcher that has returned 1 by a read, while the Value's watch, which is lost at the end, was behind.
// The store still has all that was put since, which are the numbers from 2 to last.
func aheadOfTheWatch(w *world, last int) *valuetest.Watcher[int] {
	v := w.number()
	watch(w, v)
	w.Streaming(1)
	w.Cut(fault.Watches)
	w.putNumbers(1, 1)
	watch(w, v, value.EveryUpdate()) // one that does not read: what it has not read stays in the backlog
	a := watch(w, v, value.EveryUpdate())
	a.GivesEach(1)
	w.compact()
	w.putNumbers(2, last)
	w.Heal()
	w.Settle()
	return a
}

// More than one reading of history brings.
func TestV4AWatcherAheadOfTheWatchThatIsLostMissesNothingOfALongHistory(t *testing.T) {
	inBubble(t, noGap, func(w *world) {
		const last = 20_000
		a := aheadOfTheWatch(w, last)
		a.GivesEach(numbers(2, last)...)
		w.putNumbers(last+1, last+1)
		a.GivesEach(last + 1)
	})
}

func TestV4AWatcherAheadOfTheWatchThatIsLostMissesNothingByAnError(t *testing.T) {
	inBubble(t, noGap, func(w *world) {
		a := aheadOfTheWatch(w, 9)
		refused := w.Fail(-1, kv.ErrPermission)
		a.Fails(kv.ErrPermission)
		refused.Remove()
		a.GivesEach(numbers(2, 9)...)
	})
}

// Where the key is absent in the end, nothing but the history says what it was meanwhile.
func TestV4AWatcherAheadOfTheWatchThatIsLostMissesNothingBeforeADeletion(t *testing.T) {
	inBubble(t, noGap, func(w *world) {
		v := w.number()
		watch(w, v)
		w.Streaming(1)
		w.Cut(fault.Watches)
		w.putNumbers(1, 1)
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(1)
		w.compact()
		w.putNumbers(2, 3)
		w.delete()
		w.Heal()
		w.Settle()
		a.GivesEach(2, 3)
		a.Fails(value.ErrDeleted)
		w.putsArrive(a, 4, 4)
	})
}

// That history is gone too.
func TestV4AWatcherAheadOfTheWatchThatIsLostReturnsOneGap(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		a := aheadOfTheWatch(w, 9)
		seen := a.Revision()
		w.compact()
		a.HasGap(seen, seen+9, kv.ErrCompacted)
		a.GivesEach(9)
		w.putsArrive(a, 10, 11)
	})
}

// What the watcher was to have of the old history is not given to it in the new.
func TestV5AnUpdateThatWaitsForHistoryIsDroppedWhenThatIsReplaced(t *testing.T) {
	inBubble(t, v5reset, func(w *world) {
		w.putNumbers(0, 0)
		w.backup()
		a := aheadOfTheWatch(w, 9)
		h := w.Hold(fault.Watches) // the reading of history
		c := a.Begin()
		w.Held(h)
		w.restore()
		w.pass(time.Second)
		c.Fails(kv.ErrReset) // as a *GapError
		h.Release()
		a.Gives(0)
		a.HasNothing()
		w.putsArrive(a, 1, 2)
	})
}
