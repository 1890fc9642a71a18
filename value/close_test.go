package value_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV9CloseConcurrentlyWithAGet(t *testing.T) {
	eachMode(t, each, v9, func(w *world, opts ...value.WatchOption) {
		a := w.watchFrom("one", w.text(), opts...)
		c := a.Begin()
		c.Waits()
		closed := time.Now()
		a.Close()
		c.Fails(value.ErrClosed)
		if d := time.Since(closed); w.InBubble() && d != 0 {
			w.broken("the Get that waited returned %v after Close", d)
		}
		a.Fails(value.ErrClosed)
		if _, err := a.TryGet(); !errors.Is(err, value.ErrClosed) {
			w.broken("TryGet after Close returned the error %v", err)
		}
		if n := w.Counts().Streams; n != 0 {
			w.broken("%d watches of the store run after the last Close returned", n)
		}
	})
}

func TestV9CloseInEachPhase(t *testing.T) {
	phases := map[string]func(w *world){
		"reading":       func(w *world) { w.Hold(fault.Gets) },
		"unanswered":    func(w *world) { w.Hold(fault.Gets, fault.Answered) },
		"before watch":  func(w *world) { w.Hold(fault.Watches) },
		"cut":           func(w *world) { w.Cut() },
		"waiting":       func(w *world) { w.Fail(-1, kv.ErrUnavailable) },
		"refused":       func(w *world) { w.Fail(-1, kv.ErrPermission) },
		"watch refused": func(w *world) { w.Fail(-1, kv.ErrPermission, fault.Watches) },
	}
	for name, prepare := range phases {
		t.Run(name, func(t *testing.T) {
			each(t, v9+", at any time", func(w *world) {
				prepare(w)
				v := w.text()
				a, b := v.Watch(), v.Watch(value.EveryUpdate())
				w.Until("there was a read", func(c fault.Counts) bool { return c.Gets > 0 })
				w.Settle()
				for range 2 {
					if err := errors.Join(a.Close(), b.Close()); err != nil {
						w.broken("Close returned %v", err)
					}
				}
				if n := w.Counts(); n.Streams != 0 || n.Blocked != 0 {
					w.broken("after Close: %v", n)
				}
			})
		})
	}
}

func TestV9ConcurrentCloses(t *testing.T) {
	each(t, v9, func(w *world) {
		w.put("one")
		v := w.text()
		for range 50 {
			a, b := watch(w, v, value.KeepPrevious()), watch(w, v, value.EveryUpdate())
			c, d := a.Begin(), b.Begin()
			var closing sync.WaitGroup
			for range 4 {
				closing.Go(func() { a.Close() })
				closing.Go(func() { b.Close() })
			}
			closing.Wait()
			for _, c := range []*valuetest.Call[string]{c, d} {
				if got := c.Got(); got.Value != "one" && !errors.Is(got.Err, value.ErrClosed) {
					w.broken("concurrently with Close, Get returned %v", got)
				}
			}
			if n := w.Counts().Streams; n != 0 {
				w.broken("%d watches of the store run after the last Close returned", n)
			}
		}
	})
}

func TestV9AWatcherThatIsClosedTwiceIsCountedOnce(t *testing.T) {
	eachMode(t, inBubble, v9+", which ends no other watcher", func(w *world, opts ...value.WatchOption) {
		w.put("one")
		v := w.text()
		a, b := watch(w, v, opts...), watch(w, v, opts...)
		a.Gives("one")
		for range 3 {
			b.Close()
		}
		if n := v.Status().Watchers; n != 1 {
			w.broken("one watcher is open, but Status says %d", n)
		}
		w.put("two")
		a.Gives("two")
	})
}

func TestV9OpenedAgain(t *testing.T) {
	eachMode(t, each, "V9, V12: a Value can be watched again after its last watcher was closed", func(w *world, opts ...value.WatchOption) {
		w.put("0")
		v := w.text()
		for i := range 20 {
			a := watch(w, v, opts...)
			a.Gives(strconv.Itoa(i))
			a.Close()
			w.put(strconv.Itoa(i + 1)) // while there is no watcher
		}
	})
}

func TestV9OthersAreNotDisturbed(t *testing.T) {
	each(t, v9+"; other watchers are not disturbed", func(w *world) {
		w.put("one")
		v := w.text()
		a, b := both(w, v, "one")
		c := a.Begin()
		b.Close()
		c.Waits()
		w.put("two")
		c.Gives("two")
		if n := v.Status().Watchers; n != 1 {
			w.broken("one watcher is open, but Status says %d", n)
		}
	})
}

// A Get calls its filter, and the filter may close the watcher.
func TestV9AClosedWatcherStartsNothing(t *testing.T) {
	inBubble(t, v9+", and nothing is begun for it after that", func(w *world) {
		w.putNumbers(1, 1)
		v := w.number(value.WithBacklog(1))
		watch(w, v)
		a := watch(w, v, value.EveryUpdate())
		var before fault.Counts
		a.Fails(value.ErrClosed, value.Where(func(int) bool {
			for i := 2; i <= 9; i++ {
				w.putNumbers(i, i)
				w.Settle()
			}
			a.Close()
			before = w.Counts()
			return false
		}))
		w.Settle()
		if after := w.Counts(); after.Watches != before.Watches {
			w.broken("after Close %d watches were begun", after.Watches-before.Watches)
		}
	})
}

func TestV9ClosingTheLastWatcherIsNotAnOutage(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"while it watches":       func(w *world) {},
		"while a read is held":   func(w *world) { w.Hold(fault.Gets) },
		"while a watch is begun": func(w *world) { w.Hold(fault.Watches) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "V11, Status and log report outages, and nothing else", func(w *world) {
				var log logbook
				w.put("one")
				prepare(w)
				v := w.text(log.option())
				a := watch(w, v)
				w.Settle()
				a.Close()
				if s := v.Status(); s.LastError != nil || s.Connected || log.String() != "" {
					w.broken("after the last Close Status is %+v, and the log says:\n%s", s, &log)
				}
			})
		})
	}
}
