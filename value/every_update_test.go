package value_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV4EachUpdateOnceInOrder(t *testing.T) {
	each(t, v4, func(w *world) {
		w.putNumbers(1, 3)
		a := watch(w, w.number(), value.EveryUpdate())
		a.GivesEach(3) // the watcher begins at the newest value
		w.Streaming(1)
		w.putsArrive(a, 4, 200)
		a.HasNothing()
		w.delete()
		w.putNumbers(201, 202)
		a.Fails(value.ErrDeleted)
		a.GivesEach(numbers(201, 202)...)
	})
}

func TestV4BeyondTheBacklog(t *testing.T) {
	for _, c := range []struct {
		name    string
		backlog int
		updates int
	}{
		{"of one", 1, 3000},
		{"of two", 2, 3000},
		{"of the default size", 1024, 30_000},
		{"larger than what comes", 40_000, 30_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, v4+", even by a watcher that is far behind", func(w *world) {
				a := w.everyFrom(0, value.WithBacklog(c.backlog))
				for i := 1; i <= c.updates; i += 100 {
					w.putNumbers(i, i+99)
					w.Settle()
				}
				a.GivesEach(numbers(1, c.updates)...)
				a.HasNothing()
				w.putNumbers(c.updates+1, c.updates+1)
				a.GivesEach(c.updates + 1)
			})
		})
	}
}

func TestV4BeyondABacklogOfOne(t *testing.T) {
	each(t, v4+", even by a watcher that is far behind", func(w *world) {
		a := w.everyFrom(0, value.WithBacklog(1))
		w.Streaming(1)
		w.putsArrive(a, 1, 500)
		w.putsArrive(a, 501, 600)
		a.HasNothing()
	})
}

func TestV4SlowAndFastReadersTogether(t *testing.T) {
	for _, backlog := range []int{1, 7, 64, 10_000} {
		t.Run(strconv.Itoa(backlog), func(t *testing.T) {
			inBubble(t, v4+", by each watcher at its own pace", func(w *world) {
				const updates = 2000
				w.putNumbers(0, 0)
				v := w.number(value.WithBacklog(backlog))
				done := make(chan struct{})
				paces := []time.Duration{0, time.Microsecond, time.Millisecond, 70 * time.Millisecond}
				for _, pace := range paces {
					a := watch(w, v, value.EveryUpdate())
					a.GivesEach(0)
					go func() {
						defer func() { done <- struct{}{} }()
						for i := 1; i <= updates; i++ {
							if got, err := a.Next(); err != nil || got != i {
								w.Errorf("promised: %s\nhappened: instead of %d, the reader that takes %v for each update got %s", w.promise, i, pace, describe(got, err))
								return
							}
							time.Sleep(pace)
						}
					}()
				}
				for i := 1; i <= updates; i++ {
					w.putNumbers(i, i)
					time.Sleep(10 * time.Millisecond)
				}
				for range paces {
					<-done
				}
			})
		})
	}
}

func TestV4AReaderThatJoinsLaterBeginsAtTheNewest(t *testing.T) {
	each(t, v4, func(w *world) {
		w.putNumbers(1, 1)
		v := w.number(value.WithBacklog(4))
		newest := watch(w, v)
		newest.GivesEach(1)
		w.Streaming(1)
		newest.Gives(20, value.AtLeast[int](w.putNumbers(2, 20)))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(20)
		w.putsArrive(a, 21, 40)
		a.Close()
		b := watch(w, v, value.EveryUpdate())
		b.GivesEach(40)
		w.putsArrive(b, 41, 41)
	})
}

func TestV4AnUpdateThatAReadShowedFirstIsReturnedOnce(t *testing.T) {
	each(t, v4+", although a read has shown a later one already", func(w *world) {
		w.putNumbers(1, 1)
		v := w.number()
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(1)
		w.Streaming(1)
		event := w.Hold(fault.Watches, fault.Answered)
		w.putNumbers(2, 2)
		w.Held(event)
		w.putNumbers(3, 5)
		b := watch(w, v)
		b.GivesEach(5) // by a read, concurrently with the watch
		event.Release()
		a.GivesEach(numbers(2, 5)...)
		a.HasNothing()
		b.HasNothing()
	})
}

func TestV4TwoChangesInOneRevisionAreOneUpdate(t *testing.T) {
	inBubble(t, "V4, V6: a key deleted and put in one revision is its new value, returned once", func(w *world) {
		w.putNumbers(1, 1)
		store := &tampered{Store: w.Store}
		v := value.New(store, w.key, value.JSON[int])
		newest, every := both(w, v, 1)
		store.tamper(func(b kv.Batch) []kv.Batch {
			// etcd allows this in a transaction that deletes a range and puts a key of the range.
			put := b.Events[0]
			put.CreateRevision, put.Version = put.ModRevision, 1
			gone := kv.Event{Type: kv.EventDelete, Entry: kv.Entry{Key: put.Key, ModRevision: put.ModRevision}}
			b.Events = []kv.Event{gone, put}
			return []kv.Batch{b}
		})
		w.putsArrive(every, 2, 2)
		newest.GivesEach(2)
		every.HasNothing()
		newest.HasNothing()
		if n := v.Status().Holes; n != 0 {
			w.broken("no event was lost, but the audit found %d holes", n)
		}
	})
}
