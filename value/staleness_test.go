package value_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV11StaleWhenCutOff(t *testing.T) {
	eachMode(t, inBubble, v11stale+", once in each such time, and continues as before when the store is back", func(w *world, opts ...value.WatchOption) {
		const limit = 10 * time.Second
		v := w.text(value.WithMaxStaleness(limit))
		a := w.watchFrom("one", v, opts...)
		w.Settle()
		w.Cut()
		cut := time.Now()
		a.Fails(value.ErrStale)
		if d := time.Since(cut); d > limit || d < limit/2-time.Second {
			w.broken("ErrStale was returned %v after the cut, the limit is %v", d, limit)
		}
		for range 5 {
			said := time.Now()
			a.Fails(value.ErrStale)
			if d := time.Since(said); d != limit {
				w.broken("ErrStale was returned again after %v", d)
			}
		}
		w.put("two")
		a.Fails(value.ErrStale)
		w.Heal()
		a.Gives("two")
		w.pass(time.Hour)
		a.HasNothing()
		if age := time.Since(v.Status().Confirmed); age > limit {
			w.broken("the store works, but the value was last confirmed %v ago", age)
		}
	})
}

func TestV11AnUpdateThatIsTooOldIsNotReturned(t *testing.T) {
	eachMode(t, inBubble, v11stale+", even while there is an unread update that is old", func(w *world, opts ...value.WatchOption) {
		v := w.text(value.WithMaxStaleness(10 * time.Second))
		a := w.watchFrom("one", v, opts...)
		w.put("two")
		w.Settle()
		w.Cut()
		w.pass(time.Minute)
		a.Fails(value.ErrStale)
		if _, err := a.TryGet(); !errors.Is(err, value.ErrStale) {
			w.broken("TryGet returned the error %v", err)
		}
		w.Heal()
		w.pass(30 * time.Second)
		a.Gives("two")
	})
}

func TestV11StaleFromTheBeginning(t *testing.T) {
	inBubble(t, v11stale, func(w *world) {
		w.put("one")
		w.Cut()
		a := watch(w, w.text(value.WithMaxStaleness(10*time.Second), value.WithDefault("none")))
		began := time.Now()
		a.Fails(value.ErrStale)
		if d := time.Since(began); d != 10*time.Second {
			w.broken("a watcher that never got an answer of the store returned ErrStale after %v", d)
		}
		w.Heal()
		a.Gives("one")
	})
}

func TestV11ABusyStreamDoesNotConfirmTheValue(t *testing.T) {
	inBubble(t, v11stale+"; what a watch delivers may be late", func(w *world) {
		a := w.watchFrom("one", w.text(value.WithMaxStaleness(10*time.Second)))
		w.Settle()
		w.Cut(fault.Gets)
		for range 30 {
			w.put("more")
			w.pass(time.Second)
		}
		a.Fails(value.ErrStale)
	})
}

// While the watcher may return only ErrStale, it does not take updates that were read from history. If it then waited for them, it would spin,
// and in a bubble that never ends.
func TestV11AnEveryUpdateGetDoesNotSpinWhileStale(t *testing.T) {
	inBubble(t, v11stale+", and waits in between", func(w *world) {
		const limit = 2 * time.Second
		v := w.text(value.WithBacklog(1), value.WithMaxStaleness(limit))
		a := w.watchFrom("0", v, value.EveryUpdate())
		for i := range 3 {
			w.put(strconv.Itoa(i + 1))
		}
		w.Settle()
		if got, err := a.TryGet(); !errors.Is(err, value.ErrNothingNew) {
			w.broken("TryGet returned %s while the history is read", describe(got, err))
		}
		w.Settle()
		w.Cut()
		w.pass(limit)
		a.Fails(value.ErrStale)
		ctx, cancel := context.WithTimeout(w.Context(), limit/2)
		defer cancel()
		if got, err := a.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			w.broken("Get returned %s, want it to wait until its context ends", describe(got, err))
		}
		w.Heal()
		a.GivesEach("1", "2", "3")
	})
}

// A watch that delivers confirms nothing, because its events may be late.
func TestV11ABusyWatchDoesNotDelayTheReadsForMaxStaleness(t *testing.T) {
	inBubble(t, "V11, with a limit to staleness the key is read every half of it", func(w *world) {
		v := w.text(value.WithMaxStaleness(10 * time.Second))
		a := w.watchFrom("x", v)
		before := w.Counts().Gets
		for range 60 {
			w.pass(time.Second)
			w.put("x")
			a.Gives("x")
			if age := time.Since(v.Status().Confirmed); age > 5*time.Second {
				w.broken("the value was last confirmed %v ago", age)
			}
		}
		if n := w.Counts().Gets - before; n < 12 || n > 13 {
			w.broken("in a minute the key was read %d times, want 12", n)
		}
	})
}

func TestTheShortestMaxStalenessIsKept(t *testing.T) {
	inBubble(t, "a limit of 100 ms is accepted, and holds if reads take less than half of it", func(w *world) {
		w.put("one")
		w.Delay(40*time.Millisecond, fault.Reads)
		a := watch(w, w.text(value.WithMaxStaleness(100*time.Millisecond)))
		a.Gives("one")
		for range 200 {
			w.pass(3 * time.Millisecond)
			a.HasNothing()
		}
	})
}
