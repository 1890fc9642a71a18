package value_test

import (
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV15OwnWriteIsRead(t *testing.T) {
	eachMode(t, each, v15, func(w *world, opts ...value.WatchOption) {
		a := w.watchFrom("one", w.text(value.WithCheck(0)), opts...)
		w.Streaming(1)
		w.Freeze(fault.Watches) // so that only a read can show it
		rev := w.put("two")
		if len(opts) > 0 { // a watcher of every update returns what the watch delivers
			w.Heal()
		}
		a.Gives("two", value.AtLeast[string](rev))
		w.Heal()
		w.Settle()
		a.HasNothing()
		a.HasNothing(value.AtLeast[string](rev)) // it has returned this already
		rev = w.put("three")
		a.Gives("three", value.AtLeast[string](rev))
	})
}

func TestV15TheFirstGet(t *testing.T) {
	eachMode(t, each, v15+", of another key too", func(w *world, opts ...value.WatchOption) {
		w.put("one")
		rev := w.putOther()
		a := watch(w, w.text(value.WithCheck(0)), opts...)
		a.Gives("one", value.AtLeast[string](rev)) // unchanged, as of rev
	})
}

func TestV15AForeignRevision(t *testing.T) {
	eachMode(t, each, v15+", of another key too", func(w *world, opts ...value.WatchOption) {
		a := w.watchFrom("one", w.text(value.WithCheck(0)), opts...)
		w.Streaming(1)
		w.put("two")
		rev := w.putOther()
		a.Gives("two", value.AtLeast[string](rev))
		a.HasNothing()
	})
}

func TestV15AFutureRevision(t *testing.T) {
	eachMode(t, each, v15+"; an older value is skipped", func(w *world, opts ...value.WatchOption) {
		rev := w.put("one")
		a := watch(w, w.text(), opts...)
		c := a.Begin(value.AtLeast[string](rev + 3))
		w.Streaming(1)
		c.Waits()
		w.put("two")
		w.put("three")
		c.Waits()
		w.put("four")
		c.Gives("four")
		w.put("five")
		a.Gives("five")
	})
}

func TestV15AFutureRevisionThatAnotherKeyReaches(t *testing.T) {
	eachMode(t, inBubble, v15, func(w *world, opts ...value.WatchOption) {
		rev := w.put("one")
		a := watch(w, w.text(), opts...)
		c := a.Begin(value.AtLeast[string](rev + 1))
		w.Streaming(1)
		c.Waits()
		w.putOther()
		w.pass(61 * time.Second) // the check of the silent watch finds the update
		c.Gives("one")
	})
}

func TestV15WithEveryUpdateAndWhere(t *testing.T) {
	each(t, v15+"; an older value is skipped, as with Where", func(w *world) {
		a := w.everyFrom(0)
		w.Streaming(1)
		w.putNumbers(1, 5)
		rev := w.putNumbers(6, 6)
		w.putNumbers(7, 12)
		even := value.Where(func(n int) bool { return n%2 == 0 })
		a.Gives(6, value.AtLeast[int](rev), even)
		a.Gives(8, even)
		a.GivesEach(numbers(9, 12)...)
		a.HasNothing(even)
		rev = w.putNumbers(13, 13)
		c := a.Begin(value.AtLeast[int](rev), even)
		c.Waits()
		w.putNumbers(14, 14)
		c.Gives(14)
	})
}

func TestV6ADeletionIsReturnedEvenIfTheValueBeforeItWasTooOld(t *testing.T) {
	inBubble(t, "V6, a deletion is returned once", func(w *world) {
		rev := w.putNumbers(1, 1)
		a := watch(w, w.number(), value.EveryUpdate())
		c := a.Begin(value.AtLeast[int](rev + 1))
		c.Waits()
		w.delete()
		c.Fails(value.ErrDeleted)
		a.HasNothing()
		w.putsArrive(a, 2, 2)
	})
}

func TestV4AnUpdateThatWasTooOldIsNotReturnedLater(t *testing.T) {
	inBubble(t, "V15, Get returns a value at or after a revision; V5, never backwards", func(w *world) {
		rev := w.putNumbers(1, 1)
		a := watch(w, w.number(), value.EveryUpdate())
		c := a.Begin(value.AtLeast[int](rev + 2))
		c.Waits()
		w.putNumbers(2, 3)
		c.Gives(3)
		a.HasNothing()
	})
}

// The store was restored once. A revision of the new history must not be taken for a revision of the lost history.
func TestV15TryGetReturnsNothingOlderAfterARestore(t *testing.T) {
	eachMode(t, inBubble, v15, func(w *world, opts ...value.WatchOption) {
		w.put("one")
		w.backup()
		w.put("undone")
		a := watch(w, w.text(value.WithCheck(time.Second)), opts...)
		a.Gives("undone")
		w.restore()
		a.GivesAfter(kv.ErrReset, "one")
		w.put("two")
		w.Settle()
		w.Freeze(fault.Reads) // the Value does not learn of later writes
		rev := w.put("three")
		if got, err := a.TryGet(value.AtLeast[string](rev)); !errors.Is(err, value.ErrNothingNew) {
			w.broken("TryGet of revision %d = %q, %v, want nothing new: what is known is older", rev, got, err)
		}
		w.Heal()
		a.Gives("three", value.AtLeast[string](rev))
	})
}
