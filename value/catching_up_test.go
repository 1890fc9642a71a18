package value_test

import (
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV4OneGapWhenCompactedHalfwayThroughCatchingUp(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(3))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		last := w.putNumbers(1, 30_000)
		w.Settle()
		a.GivesEach(numbers(1, 10)...) // of the first piece of history
		w.compact()
		w.Settle()
		// The watcher returns what it has already read, then one gap, then the newest value.
		for i := 11; ; i++ {
			got, err := a.Next()
			if err == nil && got == i {
				continue
			}
			var gap *value.GapError
			if !errors.As(err, &gap) || gap.To != last || gap.From < kv.Revision(i-1) {
				w.broken("after %d Get returned %s, want %d or a *GapError to %d", i-1, describe(got, err), i, last)
			}
			break
		}
		a.GivesEach(30_000)
		a.HasNothing()
	})
}

func TestV4CatchingUpDuringAnOutage(t *testing.T) {
	for name, out := range map[string]func(w *world, begin func()){ // begin makes a watcher catch up
		"cut": func(w *world, begin func()) { begin(); w.Cut() },
		"no leader": func(w *world, begin func()) {
			begin()
			w.Fail(-1, kv.ErrUnavailable, fault.Reads)
			w.EndStreams(kv.ErrUnavailable)
		},
		"cut at last": func(w *world, begin func()) {
			h := w.Hold(fault.Watches)
			begin()
			w.Held(h)
			w.Cut()
			h.Release()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, outages, func(w *world) {
				a := w.everyFrom(0, value.WithBacklog(3))
				w.putNumbers(1, 10_000)
				w.Settle()
				c := make(chan struct{})
				out(w, func() {
					go func() {
						defer close(c)
						a.GivesEach(numbers(1, 10_000)...)
					}()
				})
				w.pass(10 * time.Minute)
				w.Clear()
				<-c
			})
		})
	}
}

func TestV4CatchingUpIsNotStoppedByARefusedWatch(t *testing.T) {
	inBubble(t, "V11, a refused watch is a permission that is gone only if a read confirms it", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(3))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		w.putNumbers(1, 100)
		w.Settle()
		w.Fail(3, kv.ErrPermission, fault.Watches) // an expired token
		a.GivesEach(numbers(1, 100)...)
	})
}

func TestV4CatchingUpReturnsARefusalThatAReadConfirms(t *testing.T) {
	inBubble(t, "V11, a permission that is gone is returned once for each attempt, and noticed when it is back", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(3), value.WithCheck(0))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		w.putNumbers(1, 100)
		w.Settle()
		refused := w.Fail(-1, kv.ErrPermission, fault.Reads)
		a.Fails(kv.ErrPermission)
		a.Fails(kv.ErrPermission)
		refused.Remove()
		a.GivesEach(numbers(1, 100)...)
	})
}

func TestV16TheAuditContinuesAfterCatchingUp(t *testing.T) {
	inBubble(t, "V4, V16: an event that is lost to a watcher catching up is proven by the next, and read again", func(w *world) {
		a := w.everyFrom(0, value.WithBacklog(1))
		w.putNumbers(1, 1)
		w.delete() // the watcher has to catch up to this deletion
		w.putNumbers(2, 2)
		w.Settle()
		w.Drop(1, fault.Deletes)
		a.GivesEach(1)
		a.Fails(value.ErrDeleted)
		a.GivesEach(2)
	})
}
