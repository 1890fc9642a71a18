package value_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

func TestUpdatesContinueUntilTheContextEnds(t *testing.T) {
	each(t, "Updates yields what successive Gets return, errors included, until its context or the watcher ends", func(w *world) {
		w.put("1")
		a := watch(w, w.number(), value.EveryUpdate())
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		var seen []string
		for n, err := range a.Updates(ctx) {
			var bad *value.DecodeError
			switch {
			case errors.As(err, &bad):
				seen = append(seen, "bad")
				w.delete()
			case errors.Is(err, value.ErrDeleted):
				seen = append(seen, "deleted")
				w.put("2")
			case errors.Is(err, context.Canceled):
				seen = append(seen, "end")
			case err != nil:
				w.broken("Updates yielded the error %v", err)
			case n == 1:
				seen = append(seen, "one")
				w.put("x")
			case n == 2:
				seen = append(seen, "two")
				cancel()
			}
		}
		if want := []string{"one", "bad", "deleted", "two", "end"}; !slices.Equal(seen, want) {
			w.broken("Updates yielded %v, want %v", seen, want)
		}
		w.put("3")
		for n, err := range a.Updates(w.Context()) {
			if n != 3 || err != nil {
				w.broken("Updates yielded %s, want 3", describe(n, err))
			}
			break
		}
	})
}

func TestUpdatesEndWithTheContextsError(t *testing.T) {
	inBubble(t, "the last thing that Updates yields is the error of its context, even if the context ended together with another error", func(w *world) {
		a := w.watchFrom("one", w.text())
		w.delete()
		ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
		defer cancel()
		var last error
		for _, err := range a.Updates(ctx) {
			last = err
			if errors.Is(err, value.ErrDeleted) {
				cancel()
			}
		}
		if last != context.Canceled {
			w.broken("the last error is %v", last)
		}
	})
}

func TestV7NoErrorOfADecoderEndsUpdates(t *testing.T) {
	inBubble(t, "V7: the watcher goes on after a bad value, whatever the decoder's error is", func(w *world) {
		another := memory.New()
		another.Close()
		reads := func(b []byte) (string, error) {
			if string(b) != "elsewhere" {
				return string(b), nil
			}
			_, err := another.Get(context.Background(), kv.All())
			return "", err
		}
		v := value.New(w.Store, w.key, reads)
		a, out := watch(w, v), channel(w, v)
		w.put("elsewhere")
		ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
		defer cancel()
		var seen []string
		for s, err := range a.Updates(ctx) {
			if errors.Is(err, kv.ErrClosed) {
				s = "closed"
				w.put("here")
			} else if err != nil {
				s = "end"
			} else {
				cancel()
			}
			seen = append(seen, s)
		}
		if want := []string{"closed", "here", "end"}; !slices.Equal(seen, want) {
			w.broken("Updates yielded %q, want %q", seen, want)
		}
		w.Settle()
		if r, open := <-out; !open || r.Value != "here" {
			w.broken("the channel gave %+v, open: %t", r, open)
		}
		w.put("elsewhere")
		if r, open := <-out; !open || !errors.Is(r.Err, kv.ErrClosed) {
			w.broken("the channel gave %+v, open: %t", r, open)
		}
		w.put("here again")
		if r, open := <-out; !open || r.Value != "here again" {
			w.broken("the channel gave %+v, open: %t", r, open)
		}
	})
}

func TestWhereSkipsValues(t *testing.T) {
	eachMode(t, each, "values that Where rejects are skipped, and not returned later", func(w *world, opts ...value.WatchOption) {
		w.putNumbers(1, 1)
		a := watch(w, w.number(), opts...)
		large := value.Where(func(n int) bool { return n > 5 })
		c := a.Begin(large)
		w.Streaming(1)
		for i := 2; i <= 5; i++ {
			w.putNumbers(i, i)
			c.Waits()
		}
		w.putNumbers(6, 6)
		c.Gives(6)
		a.HasNothing()
		w.putNumbers(3, 3)
		a.HasNothing(large)
		rev := w.putNumbers(8, 8)
		a.Gives(8, large, value.AtLeast[int](rev), value.Where(func(n int) bool { return n%2 == 0 }))
		bad := w.put("x")
		a.FailsToDecode(bad) // filters are not called for bad values
		w.delete()
		a.Fails(value.ErrDeleted, large)
	})
}

func TestTryGetNeverWaits(t *testing.T) {
	eachMode(t, inBubble, "TryGet returns what is new, or ErrNothingNew, at once", func(w *world, opts ...value.WatchOption) {
		w.put("one")
		w.Cut()
		a := watch(w, w.text(), opts...)
		want := func(v string, err error) {
			w.Helper()
			if got, e := a.TryGet(); got != v || !errors.Is(e, err) {
				w.broken("TryGet returned %s, want %q and %v", describe(got, e), v, err)
			}
		}
		w.Settle()
		want("", value.ErrNothingNew)
		w.Heal()
		w.Settle()
		want("one", nil)
		want("", value.ErrNothingNew)
		w.put("two")
		w.Settle()
		want("two", nil)
		w.delete()
		w.Settle()
		want("", value.ErrDeleted)
		want("", value.ErrNothingNew)
	})
}
