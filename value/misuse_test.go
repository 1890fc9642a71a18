package value_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

func TestAnInvalidValueReturnsItsErrorFromEveryGet(t *testing.T) {
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
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // limits only a failure
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

func TestNilOptionsAreIgnored(t *testing.T) {
	inBubble(t, "nil options are ignored", func(w *world) {
		w.put("one")
		v := w.text(nil, value.WithLogger(nil))
		watch(w, v, nil).Gives("one", nil)
	})
}

func TestIsFinalReportsWhetherALoopEnds(t *testing.T) {
	for _, c := range []struct {
		err   error
		final bool
	}{
		{value.ErrDeleted, false}, {value.ErrStale, false}, {kv.ErrPermission, false}, {context.Canceled, false},
		{&value.DecodeError{Err: value.ErrClosed}, false}, {&value.GapError{Err: kv.ErrCompacted}, false},
		{value.ErrClosed, true}, {value.ErrWatcherClosed, true},
	} {
		if got := value.IsFinal(c.err); got != c.final {
			t.Errorf("IsFinal(%v) is %v, want %v", c.err, got, c.final)
		}
	}
	_, err := value.New[string](nil, "k", value.String).Get(t.Context())
	if !value.IsFinal(err) {
		t.Errorf("IsFinal(%v) is false for a Value that cannot work", err)
	}
}
