package value_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV8CancelInEachPhase(t *testing.T) {
	eachMode(t, each, v8, func(w *world, opts ...value.WatchOption) {
		w.put("one")
		read := w.Hold(fault.Gets)
		a := watch(w, w.text(), opts...)
		w.Held(read)
		a.Begin().Cancel() // while the first read hangs

		event := w.Hold(fault.Watches) // before the read continues, because the watch begins right after it
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
		a.Begin().Cancel() // while the store is cut off
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

func TestV8AGetWithADoneContextConsumesNothing(t *testing.T) {
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

func TestV8CancelConcurrentlyWithUpdates(t *testing.T) {
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
			ctx, cancel := context.WithTimeout(w.Context(), time.Millisecond) // it often ends just when an update arrives
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
				w.broken("the next number is %d, but Get returned %s", i, describe(got, err))
			}
			i++
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
