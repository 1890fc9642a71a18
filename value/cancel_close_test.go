package value_test

import (
	"context"
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

const (
	v8  = "V8, cancelling a Get loses nothing: the next returns what the cancelled one would have"
	v9  = "V9, Close may be called twice and beside a Get, which returns ErrClosed"
	v10 = "V10, a second Get at the same time fails with ErrConcurrentGet, and the first is not disturbed"
)

func TestV8CancelInEachPhase(t *testing.T) {
	eachMode(t, each, v8, func(w *world, opts ...value.WatchOption) {
		w.put("one")
		read := w.Hold(fault.Gets)
		a := watch(w, w.text(), opts...)
		w.Held(read)
		a.Begin().Cancel() // while the first read hangs

		event := w.Hold(fault.Watches) // before the read goes on, which the watch follows at once
		read.Release()
		a.Gives("one")
		w.Held(event)
		a.Begin().Cancel() // before there is a watch
		event.Release()

		event = w.Hold(fault.Watches, fault.Answered)
		w.put("two")
		w.Held(event)
		a.Begin().Cancel() // while the event hangs
		event.Release()
		a.Gives("two")

		w.Cut()
		a.Begin().Cancel() // cut off
		w.put("three")
		w.Heal()
		a.Gives("three")

		refused := w.Fail(-1, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.put("four")
		a.Begin().Cancel() // between two attempts
		refused.Remove()
		a.Gives("four")
		a.HasNothing()
	})
}

func TestV8AnEndedContextTakesNothing(t *testing.T) {
	eachMode(t, each, v8, func(w *world, opts ...value.WatchOption) {
		w.put("one")
		a := watch(w, w.text(), opts...)
		ended, cancel := context.WithCancel(w.Context())
		cancel()
		expired, cancel := context.WithDeadline(w.Context(), time.Now().Add(-time.Second))
		defer cancel()
		for _, c := range []struct {
			ctx  context.Context
			want error
		}{{ended, context.Canceled}, {expired, context.DeadlineExceeded}} {
			if got, err := a.Get(c.ctx); err != c.want {
				w.broken("Get returned %s, want the context's own error", describe(got, err))
			}
		}
		a.Gives("one")
		w.put("two")
		w.Settle()
		if got, err := a.Get(ended); err != context.Canceled {
			w.broken("Get returned %s, want the context's own error", describe(got, err))
		}
		a.Gives("two")
	})
}

func TestV8CancelBesideUpdates(t *testing.T) {
	eachMode(t, inBubble, v8, func(w *world, opts ...value.WatchOption) {
		const updates = 2000
		w.put("0")
		a := watch(w, w.number(value.WithBacklog(5)), opts...)
		go func() {
			for i := 1; i <= updates; i++ {
				w.put(strconv.Itoa(i))
				if i%3 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		}()
		last := -1
		for last < updates {
			ctx, cancel := context.WithTimeout(w.Context(), time.Millisecond) // which often ends with an update
			got, err := a.Get(ctx)
			cancel()
			switch {
			case errors.Is(err, context.DeadlineExceeded):
			case err != nil || got <= last || len(opts) > 0 && last >= 0 && got != last+1:
				w.broken("after %d Get returned %s", last, describe(got, err))
			default:
				last = got
			}
		}
	})
}

func TestV8CancelWhileCatchingUp(t *testing.T) {
	inBubble(t, v8, func(w *world) {
		a := w.everyFrom(0, value.WithBacklog(2))
		w.putNumbers(1, 10_000)
		w.Settle()
		for i := 1; i <= 10_000; {
			ctx, cancel := context.WithCancel(w.Context())
			if i%3 == 0 {
				cancel()
			}
			got, err := a.Get(ctx)
			cancel()
			switch {
			case errors.Is(err, context.Canceled):
				a.GivesEach(i)
			case err != nil || got != i:
				w.broken("instead of %d Get returned %s", i, describe(got, err))
			}
			i++
		}
	})
}

func TestV9CloseBesideAGet(t *testing.T) {
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
			w.broken("after Close TryGet returned the error %v", err)
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

func TestV9CloseWhileCatchingUp(t *testing.T) {
	inBubble(t, v9, func(w *world) {
		a := w.everyFrom(0, value.WithBacklog(2))
		w.putNumbers(1, 100)
		w.Settle()
		w.Hold(fault.Watches)
		c := a.Begin()
		c.Waits()
		a.Close()
		c.Fails(value.ErrClosed)
		if n := w.Counts(); n.Streams != 0 {
			w.broken("after Close: %v", n)
		}
	})
}

func TestV9CloseFromManySides(t *testing.T) {
	each(t, v9, func(w *world) {
		w.put("one")
		v := w.text()
		for range 50 {
			a, b := watch(w, v), watch(w, v, value.EveryUpdate())
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

// A mutex that the second waited for would keep the bubble's clock from going on, and so the decoder.
func TestV9CloseTwiceBesideASlowDecoder(t *testing.T) {
	inBubble(t, v9+", and waits for a decoder", func(w *world) {
		w.put("one")
		decoded := false
		v := value.New(w.Store, w.key, func(b []byte) (string, error) {
			time.Sleep(time.Second)
			decoded = true
			return string(b), nil
		})
		a := watch(w, v)
		w.Settle()
		var closing sync.WaitGroup
		for range 2 {
			closing.Go(func() {
				a.Close()
				if !decoded {
					w.Errorf("Close returned while the decoder ran")
				}
			})
		}
		closing.Wait()
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
			w.put(strconv.Itoa(i + 1)) // while nobody looks
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
			w.broken("one watcher is open and Status says %d", n)
		}
	})
}

func TestV10ASecondGetFails(t *testing.T) {
	eachMode(t, inBubble, v10, func(w *world, opts ...value.WatchOption) {
		a := w.watchFrom("one", w.text(), opts...)
		c := a.Begin()
		c.Waits()
		for range 3 {
			a.Fails(value.ErrConcurrentGet)
			if _, err := a.TryGet(); !errors.Is(err, value.ErrConcurrentGet) {
				w.broken("TryGet returned the error %v", err)
			}
		}
		c.Waits()
		w.put("two")
		c.Gives("two")
		a.HasNothing()
	})
}
