package value_test

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// deletions are the ways in which a key can be deleted, with faults during the deletion.
var deletions = map[string]func(w *world){
	"seen": func(w *world) { w.delete() },
	"during a cut": func(w *world) {
		w.Cut()
		w.delete()
		w.Heal()
	},
	"during a cut and compacted away": func(w *world) {
		w.Cut()
		w.delete()
		w.compact()
		w.Heal()
	},
	"while there was no leader": func(w *world) {
		w.Fail(3, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.delete()
	},
}

func TestV6ADeletionIsReturnedOnce(t *testing.T) {
	for name, remove := range deletions {
		t.Run(name, func(t *testing.T) {
			each(t, v6, func(w *world) {
				v := w.text()
				a := w.watchFrom("one", v)
				w.Streaming(1)
				remove(w)
				a.Fails(value.ErrDeleted)
				a.HasNothing()
				if got, ok := v.Latest(); ok {
					w.broken("the key is deleted, but Latest is %+v", got)
				}
				b := watch(w, v) // it has returned no value
				b.HasNothing()
				w.put("two")
				a.Gives("two")
				b.Gives("two")
			})
		})
	}
}

func TestV6ADeletionIsTheDefault(t *testing.T) {
	for name, remove := range deletions {
		t.Run(name, func(t *testing.T) {
			each(t, v6, func(w *world) {
				v := w.text(value.WithDefault("none"))
				a := w.watchFrom("one", v)
				w.Streaming(1)
				remove(w)
				a.Gives("none")
				a.HasNothing()
				if got, ok := v.Latest(); !ok || got.Value != "none" {
					w.broken("Latest of a deleted key with a default is %+v", got)
				}
				w.put("two")
				a.Gives("two")
			})
		})
	}
}

func TestV6EachWatcherReturnsADeletionOnce(t *testing.T) {
	each(t, v6, func(w *world) {
		w.put("one")
		v := w.text()
		newest, every := both(w, v, "one")
		w.Streaming(1)
		gone := w.delete()
		for _, a := range []*valuetest.Watcher[string]{newest, every} {
			a.Fails(value.ErrDeleted)
			if a.Revision() != gone {
				w.broken("the deletion was at %d, but Revision returns %d", gone, a.Revision())
			}
			a.HasNothing()
		}
		w.delete() // does nothing: the key is absent
		newest.HasNothing()
		every.HasNothing()
	})
}

func TestV6AKeyDeletedAndCreatedUnseenIsItsNewValue(t *testing.T) {
	each(t, "V6, a key deleted and made again while no watcher looked is its new value", func(w *world) {
		v := w.text()
		a := w.watchFrom("one", v)
		w.Streaming(1)
		w.Cut()
		w.delete()
		w.put("one") // the same bytes and the same version
		w.compact()
		w.Heal()
		a.Gives("one")
		a.HasNothing()
		w.Freeze()
		w.delete()
		rev := w.put("two")
		w.Heal()
		a.Gives("two", value.AtLeast[string](rev))
		a.HasNothing()
	})
}

func TestV6AKeyCreatedAndDeletedUnseenIsNotReported(t *testing.T) {
	each(t, "V6, a deletion is returned by a watcher that has returned a value", func(w *world) {
		v := w.text()
		newest, every := watch(w, v), watch(w, v, value.EveryUpdate())
		if !w.InBubble() { // here only a return shows that the watcher has begun
			w.put("zero")
			newest.Gives("zero")
			every.Gives("zero")
			w.delete()
			newest.Fails(value.ErrDeleted)
			every.Fails(value.ErrDeleted)
		}
		c, d := newest.Begin(), every.Begin()
		w.Streaming(1)
		w.Settle()
		event := w.Hold(fault.Watches, fault.Answered)
		w.put("one")
		w.Held(event)
		w.delete()
		again := watch(w, v).Begin() // makes a read that finds nothing
		again.Waits()
		event.Release()
		d.Gives("one")
		every.Fails(value.ErrDeleted)
		w.Settle()
		if w.InBubble() {
			select {
			case <-c.Done(): // the Get may have seen the value before the deletion
				c.Gives("one")
				newest.Fails(value.ErrDeleted)
				c = newest.Begin()
			default:
			}
		}
		w.put("two")
		every.Gives("two")
		again.Gives("two")
		<-c.Done()
	})
}

func TestV6DeletedBeforeTheFirstRead(t *testing.T) {
	each(t, "the race between the first read and the watch loses nothing", func(w *world) {
		w.put("one")
		w.delete()
		begun := w.Hold(fault.Watches) // the Value has read, but not begun to watch
		a := watch(w, w.text())
		w.Held(begun)
		c := a.Begin()
		w.put("two")
		begun.Release()
		c.Gives("two")
	})
}

func TestV6ADeletionFoundByTheCheck(t *testing.T) {
	inBubble(t, v6+", also where the watch died unnoticed", func(w *world) {
		a := w.watchFrom("one", w.text())
		w.Streaming(1)
		w.Silence()
		w.delete()
		w.pass(2 * time.Minute)
		a.Fails(value.ErrDeleted)
		a.HasNothing()
		w.pass(time.Hour)
		a.HasNothing()
	})
}

func TestV6AWatcherThatIsBehindReturnsADeletionEvenAfterAResync(t *testing.T) {
	inBubble(t, "V4, V6, a watcher that has to catch up returns a deletion, also if the key is never written again", func(w *world) {
		a := w.everyFrom(0, value.WithBacklog(1))
		w.putNumbers(1, 1)
		w.delete()
		w.Settle()
		for range 3 {
			w.putOther() // the key is absent as before, one revision later
			w.EndStreams(kv.ErrUnavailable)
			w.pass(time.Minute)
		}
		a.GivesEach(1)
		a.Fails(value.ErrDeleted)
		a.HasNothing()
	})
}

// An absence says nothing about values since the last absence. So the Value waits until the stream has delivered what a read has shown.
func TestV6ADeletionIsReturnedEvenIfTheWatchNeverDeliveredTheKey(t *testing.T) {
	inBubble(t, "V6, a deletion is returned, even if the watch died before it delivered the deleted value", func(w *world) {
		v := w.text()
		newest := watch(w, v)
		w.Streaming(1)
		down := w.Fail(-1, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.Settle()
		w.put("one")
		w.put("two")
		every := watch(w, v, value.EveryUpdate())
		first, firstOfEvery := newest.Begin(), every.Begin()
		w.Settle()
		held := w.Hold(fault.Watches)
		down.Remove()
		w.Held(held)
		w.Silence() // the new watch is dead from the beginning
		held.Release()
		first.Gives("two")
		firstOfEvery.Gives("two")
		w.delete()
		newest.Fails(value.ErrDeleted)
		every.Fails(value.ErrDeleted)
		w.put("three")
		newest.Gives("three")
		every.Gives("three")
	})
}
