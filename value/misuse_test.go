package value_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

func TestWhatIsWrongWithAValueIsSaidByEveryGet(t *testing.T) {
	store := memory.New()
	for _, c := range []struct {
		name  string
		value *value.Value[string]
		says  string
	}{
		{"nil store", value.New(nil, "/a", value.String), "nil store"},
		{"nil decoder", value.New[string](store, "/a", nil), "nil decoder"},
		{"empty key", value.New(store, "", value.String), "empty key"},
		{"default of another type", value.New(store, "/a", value.String, value.WithDefault(7)), "got int, want string"},
		{"default of a pointer", value.New(store, "/a", value.String, value.WithDefault(new("x"))), "got *string, want string"},
		{"default without a type", value.New(store, "/a", value.String, value.WithDefault[any](nil)), "got <nil>, want string"},
		{"delays of zero", value.New(store, "/a", value.String, value.WithRetry(0, time.Second)), "WithRetry"},
		{"delays that shrink", value.New(store, "/a", value.String, value.WithRetry(time.Second, time.Millisecond)), "WithRetry"},
		{"negative check", value.New(store, "/a", value.String, value.WithCheck(-1)), "WithCheck"},
		{"negative staleness", value.New(store, "/a", value.String, value.WithMaxStaleness(-1)), "WithMaxStaleness"},
		{"staleness that cannot be met", value.New(store, "/a", value.String, value.WithMaxStaleness(99*time.Millisecond)), "WithMaxStaleness"},
		{"no backlog", value.New(store, "/a", value.String, value.WithBacklog(0)), "WithBacklog"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // only limits a failure
			defer cancel()
			w := c.value.Watch(value.EveryUpdate())
			defer w.Close()
			_, get := w.Get(ctx)
			_, try := w.TryGet()
			_, once := c.value.Get(ctx)
			errs := []error{get, try, once, (<-c.value.Chan(ctx)).Err}
			for _, err := range w.Updates(ctx) {
				errs = append(errs, err)
			}
			if len(errs) != 5 {
				t.Errorf("Updates yielded %d results, want one", len(errs)-4)
			}
			for _, err := range errs {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("the error is %v, want one that says %q", err, c.says)
				}
			}
			if c.name == "empty key" && !errors.Is(get, kv.ErrInvalidKey) {
				t.Errorf("the error is %v, want kv.ErrInvalidKey", get)
			}
			if last := c.value.Status().LastError; last == nil || last.Error() != get.Error() {
				t.Errorf("promised: Status says what is wrong; its LastError is %v", last)
			}
			if _, ok := c.value.Latest(); ok {
				t.Error("Latest has a value")
			}
		})
	}
	if n := store.Watches(); n != 0 {
		t.Errorf("%d watches were opened", n)
	}
}

func TestTheShortestLimitToStalenessIsMet(t *testing.T) {
	inBubble(t, "a limit of 100 ms is not refused, and holds where reads take less than half of it", func(w *world) {
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

func TestNilOptionsAreNone(t *testing.T) {
	inBubble(t, "nil options are passed over", func(w *world) {
		w.put("one")
		v := w.text(nil, value.WithLogger(nil))
		watch(w, v, nil).Gives("one", nil)
	})
}

func TestWherePassesOver(t *testing.T) {
	eachMode(t, each, "values that Where does not want are passed over, and not returned later", func(w *world, opts ...value.WatchOption) {
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
		a.FailsToDecode(bad) // which no filter is asked about
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

func TestUpdatesGoOnUntilTheEnd(t *testing.T) {
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
	inBubble(t, "the last that Updates yields is the error of its context, also when that ended beside another error", func(w *world) {
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

func TestV1ChanBeginsNoOlderThanItsCall(t *testing.T) {
	for name, refuse := range map[string]error{"refused": kv.ErrPermission, "closed": kv.ErrClosed} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "V1: the first that a channel gives is no older than the call, or an error that says why not", func(w *world) {
				w.put("old")
				v := w.text()
				other := watch(w, v) // which knows the old value
				other.Gives("old")
				w.Settle()
				down := w.Fail(-1, refuse, fault.Reads)
				w.EndStreams(refuse)
				w.put("new")
				w.pass(time.Hour)
				out := channel(w, v)
				w.pass(time.Minute)
				if r := <-out; !errors.Is(r.Err, refuse) {
					w.broken("the channel gave %+v, want the error %q", r, refuse)
				}
				if refuse == kv.ErrClosed {
					return // that was its last
				}
				down.Remove()
				for r := range out {
					if r.Err == nil && r.Value == "new" {
						return
					}
					if !errors.Is(r.Err, refuse) {
						w.broken("the channel gave %+v, want \"new\"", r)
					}
				}
			})
		})
	}
}

func TestChanGivesTheNewest(t *testing.T) {
	inBubble(t, "what nobody has taken from the channel gives way to what is newer; every update does not", func(w *world) {
		w.putNumbers(1, 1)
		v := w.number()
		newest, every := channel(w, v), channel(w, v, value.EveryUpdate())
		w.Settle()
		for i := 2; i <= 50; i++ {
			w.putNumbers(i, i)
			w.Settle()
		}
		if r := <-newest; r.Value != 50 || r.Err != nil || r.Revision != 51 {
			w.broken("the channel of the newest gave %+v", r)
		}
		for i := 1; i <= 50; i++ {
			if r := <-every; r.Value != i || r.Err != nil || r.Revision != kv.Revision(i+1) {
				w.broken("the channel of every update gave %+v, want %d", r, i)
			}
		}
		w.delete()
		w.Settle()
		for _, out := range []<-chan value.Result[int]{newest, every} {
			if r := <-out; !errors.Is(r.Err, value.ErrDeleted) {
				w.broken("of a deletion the channel gave %+v", r)
			}
		}
	})
}

func TestChanTellsNothingOfWhatIsUndoneUntaken(t *testing.T) {
	inBubble(t, "V6, V13: a deletion is told once, of a value that was, and what is unchanged is not news", func(w *world) {
		out := channel(w, w.text())
		want := func(v string, err error) {
			w.Helper()
			w.Settle()
			select {
			case r := <-out:
				if r.Value != v || !errors.Is(r.Err, err) {
					w.broken("the channel gave %+v, want %q and %v", r, v, err)
				}
			default:
				w.broken("the channel has nothing, want %q and %v", v, err)
			}
		}
		wantNothing := func() {
			w.Helper()
			w.Settle()
			select {
			case r := <-out:
				w.broken("the channel gave %+v, want nothing", r)
			default:
			}
		}
		comesAndGoes := func() {
			w.Settle()
			w.put("untaken")
			w.Settle()
			w.delete()
		}
		comesAndGoes()
		wantNothing()
		w.put("one")
		want("one", nil)
		w.delete()
		want("", value.ErrDeleted)
		comesAndGoes()
		wantNothing()
		w.put("two")
		want("two", nil)
		w.backup()
		w.put("untaken")
		w.Settle()
		w.restore()
		wantNothing()
		comesAndGoes()
		want("", value.ErrDeleted)
	})
}

func TestChanEndsWithItsContext(t *testing.T) {
	eachMode(t, inBubble, "the channel is closed when its context ends, and nothing is left running", func(w *world, opts ...value.WatchOption) {
		w.put("one")
		v := w.text()
		for _, taken := range []bool{false, true} {
			ctx, cancel := context.WithCancel(w.Context())
			out := v.Chan(ctx, opts...)
			if taken {
				<-out
			}
			w.Streaming(1)
			cancel()
			w.Until("no watch is left", func(c fault.Counts) bool { return c.Streams == 0 })
			for range out {
			}
		}
	})
}
