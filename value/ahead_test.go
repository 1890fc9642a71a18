package value_test

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// aheadOfTheWatch returns a watcher that is ahead of the Value's watch: it has returned 1, which a read has found. In the end the Value's watch is
// lost. The store still has the numbers from 2 to last, which were put after 1.
func aheadOfTheWatch(w *world, last int) *valuetest.Watcher[int] {
	v := w.number()
	watch(w, v)
	w.Streaming(1)
	w.Cut(fault.Watches)
	w.putNumbers(1, 1)
	watch(w, v, value.EveryUpdate()) // it is never read, so the backlog keeps updates for it
	a := watch(w, v, value.EveryUpdate())
	a.GivesEach(1)
	w.compact()
	w.putNumbers(2, last)
	w.Heal()
	w.Settle()
	return a
}

// This is more history than one watch of history may deliver.
func TestV4AWatcherAheadOfALostWatchMissesNothingOfALongHistory(t *testing.T) {
	inBubble(t, noGap, func(w *world) {
		const last = 20_000
		a := aheadOfTheWatch(w, last)
		a.GivesEach(numbers(2, last)...)
		w.putNumbers(last+1, last+1)
		a.GivesEach(last + 1)
	})
}

func TestV4AWatcherAheadOfALostWatchMissesNothingAfterAnError(t *testing.T) {
	inBubble(t, noGap, func(w *world) {
		a := aheadOfTheWatch(w, 9)
		refused := w.Fail(-1, kv.ErrPermission)
		a.Fails(kv.ErrPermission)
		refused.Remove()
		a.GivesEach(numbers(2, 9)...)
	})
}

// If the key is absent in the end, only the history shows what it was in between.
func TestV4AWatcherAheadOfALostWatchMissesNothingBeforeADeletion(t *testing.T) {
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

// Here the store has also forgotten that history.
func TestV4AWatcherAheadOfALostWatchReturnsOneGap(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		a := aheadOfTheWatch(w, 9)
		seen := a.Revision()
		w.compact()
		a.HasGap(seen, seen+9, kv.ErrCompacted)
		a.GivesEach(9)
		w.putsArrive(a, 10, 11)
	})
}

// A watcher that waits for an update of the old history must not return that update after the restore.
func TestV5APendingUpdateIsDroppedWhenItsHistoryIsReplaced(t *testing.T) {
	inBubble(t, v5reset, func(w *world) {
		w.putNumbers(0, 0)
		w.backup()
		a := aheadOfTheWatch(w, 9)
		h := w.Hold(fault.Watches) // the watch of history
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
