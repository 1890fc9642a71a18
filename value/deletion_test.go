package value_test

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

const v6 = "V6, a deletion is told once, as ErrDeleted or as the default"

// deletions are the ways in which a key can go; fault is around the deletion.
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

func TestV6ADeletionIsToldOnce(t *testing.T) {
	for name, remove := range deletions {
		t.Run(name, func(t *testing.T) {
			each(t, v6, func(w *world) {
				w.put("one")
				v := w.text()
				a := watch(w, v)
				wantValue(w, a, "one")
				w.streaming(1)
				remove(w)
				wantErr(w, a, value.ErrDeleted)
				wantNothing(w, a)
				if got, ok := v.Latest(); ok {
					w.broken("Latest of a deleted key is %+v", got)
				}
				b := watch(w, v) // nobody has told this one of a value
				wantNothing(w, b)
				w.put("two")
				wantValue(w, a, "two")
				wantValue(w, b, "two")
			})
		})
	}
}

func TestV6ADeletionIsTheDefault(t *testing.T) {
	for name, remove := range deletions {
		t.Run(name, func(t *testing.T) {
			each(t, v6, func(w *world) {
				w.put("one")
				v := w.text(value.WithDefault("none"))
				a := watch(w, v)
				wantValue(w, a, "one")
				w.streaming(1)
				remove(w)
				wantValue(w, a, "none")
				wantNothing(w, a)
				if got, ok := v.Latest(); !ok || got.Value != "none" {
					w.broken("Latest of a deleted key with a default is %+v", got)
				}
				w.put("two")
				wantValue(w, a, "two")
			})
		})
	}
}

func TestV6ADeletionIsToldToEachWatcherOnce(t *testing.T) {
	each(t, v6, func(w *world) {
		w.put("one")
		v := w.text()
		newest, every := watch(w, v), watch(w, v, value.EveryUpdate())
		wantValue(w, newest, "one")
		wantValue(w, every, "one")
		w.streaming(1)
		gone := w.delete()
		for _, a := range []*value.Watcher[string]{newest, every} {
			wantErr(w, a, value.ErrDeleted)
			if a.Revision() != gone {
				w.broken("the deletion was at %d, Revision says %d", gone, a.Revision())
			}
			wantNothing(w, a)
		}
		w.delete() // of what is not there
		wantNothing(w, newest)
		wantNothing(w, every)
	})
}

func TestV6DeletedAndMadeAgainUnseenIsTheNewValue(t *testing.T) {
	each(t, "V6, a key deleted and made again while nobody looked is its new value", func(w *world) {
		w.put("one")
		v := w.text()
		a := watch(w, v)
		wantValue(w, a, "one")
		w.streaming(1)
		w.Cut()
		w.delete()
		w.put("one") // the same bytes, version and all
		w.compact()
		w.Heal()
		wantValue(w, a, "one")
		wantNothing(w, a)
		w.Freeze()
		w.delete()
		rev := w.put("two")
		w.Heal()
		wantValue(w, a, "two", value.AtLeast[string](rev))
		wantNothing(w, a)
	})
}

func TestV6MadeAndDeletedUnseenIsNothing(t *testing.T) {
	each(t, "V6, a deletion is told to who was told of a value", func(w *world) {
		v := w.text()
		newest, every := watch(w, v), watch(w, v, value.EveryUpdate())
		if !w.bubble { // only what it is told shows that a watcher has begun
			w.put("zero")
			wantValue(w, newest, "zero")
			wantValue(w, every, "zero")
			w.delete()
			wantErr(w, newest, value.ErrDeleted)
			wantErr(w, every, value.ErrDeleted)
		}
		c, d := begin(w, newest), begin(w, every)
		w.streaming(1)
		w.settle()
		event := w.Hold(fault.Watches, fault.Answered)
		w.put("one")
		w.held(event)
		w.delete()
		again := begin(w, watch(w, v)) // has a read made that finds nothing
		again.wantWaiting(w)
		event.Release()
		d.want(w, "one")
		wantErr(w, every, value.ErrDeleted)
		w.settle()
		if w.bubble {
			select {
			case <-c.done: // it may have seen the value for a moment
				c.want(w, "one")
				wantErr(w, newest, value.ErrDeleted)
				c = begin(w, newest)
			default:
			}
		}
		w.put("two")
		wantValue(w, every, "two")
		again.want(w, "two")
		<-c.done
	})
}

func TestV6DeletedBeforeTheFirstRead(t *testing.T) {
	each(t, "the race between the first read and the watch loses nothing", func(w *world) {
		w.put("one")
		w.delete()
		begun := w.Hold(fault.Watches) // it has read, and not begun to watch
		a := watch(w, w.text())
		w.held(begun)
		c := begin(w, a)
		w.put("two")
		begun.Release()
		c.want(w, "two")
	})
}

func TestV6ADeletionFoundByTheCheck(t *testing.T) {
	inBubble(t, v6+", also where the watch died unnoticed", func(w *world) {
		w.put("one")
		a := watch(w, w.text())
		wantValue(w, a, "one")
		w.streaming(1)
		w.Silence()
		w.delete()
		w.pass(2 * time.Minute)
		wantErr(w, a, value.ErrDeleted)
		wantNothing(w, a)
		w.pass(time.Hour)
		wantNothing(w, a)
	})
}

func TestV6ADeletionIsToldToAWatcherThatIsBehindWhenTheStoreIsReadAgain(t *testing.T) {
	inBubble(t, "V4, V6: a deletion is told to a watcher that has to catch up, also if the key is never written again", func(w *world) {
		w.putNumbers(0, 0)
		a := watch(w, w.number(value.WithBacklog(1)), value.EveryUpdate())
		wantNumbers(w, a, 0, 0)
		w.putNumbers(1, 1)
		w.delete()
		w.settle()
		for range 3 {
			w.putOther() // the key is absent as before, one revision later
			w.EndStreams(kv.ErrUnavailable)
			w.pass(time.Minute)
		}
		wantNumbers(w, a, 1, 1)
		wantErr(w, a, value.ErrDeleted)
		wantNothing(w, a)
	})
}

// An absence says nothing of what was there since the last one. The stream owes what a read has shown.
func TestV6DeletionIsToldThoughTheWatchIsDeadThatHadToBringTheKey(t *testing.T) {
	inBubble(t, "V6, a deletion is told, also when the watch died before it brought what was deleted", func(w *world) {
		v := w.text()
		newest := watch(w, v)
		w.streaming(1)
		down := w.Fail(-1, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.settle()
		w.put("one")
		w.put("two")
		every := watch(w, v, value.EveryUpdate())
		first, firstOfEvery := begin(w, newest), begin(w, every)
		w.settle()
		held := w.Hold(fault.Watches)
		down.Remove()
		w.held(held)
		w.Silence() // the watch that is begun now is dead from the beginning
		held.Release()
		first.want(w, "two")
		firstOfEvery.want(w, "two")
		w.delete()
		wantErr(w, newest, value.ErrDeleted)
		wantErr(w, every, value.ErrDeleted)
		w.put("three")
		wantValue(w, newest, "three")
		wantValue(w, every, "three")
	})
}
