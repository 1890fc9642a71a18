package value_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

const key = "/app/value"

// The delays between attempts are short here, and so that nobody waits for long, is the time after which a silent watch
// is checked where a scenario needs that.
const (
	shortest = 10 * time.Millisecond
	longest  = 200 * time.Millisecond
)

// reader is a watcher and its Value, for messages.
type reader[T any] struct {
	*value.Watcher[T]
	of *value.Value[T]
}

// openString opens a watcher of a string value that is closed with the test.
func openString(t *testing.T, store kv.Store, opts ...value.Option) reader[string] {
	return openAs(t, store, value.String, opts)
}

func openAs[T any](t *testing.T, store kv.Store, decode func([]byte) (T, error), opts []value.Option, watchOpts ...value.WatchOption) reader[T] {
	opts = append([]value.Option{value.WithRetry(shortest, longest)}, opts...)
	v := value.New(store, key, decode, opts...)
	w := v.Watch(watchOpts...)
	t.Cleanup(func() { w.Close() })
	return reader[T]{w, v}
}

// gives fails unless the next Get gives want.
func gives[T comparable](t *testing.T, w reader[T], want T, opts ...value.GetOption[T]) {
	t.Helper()
	if got, err := w.Get(patiently(t), opts...); err != nil || got != want {
		t.Fatalf("Get = %v, %v; want %v\nstatus: %+v", got, err, want, w.of.Status())
	}
}

// ends fails unless some Get in a row of good ones gives want.
func ends[T comparable](t *testing.T, w reader[T], want T) {
	t.Helper()
	for {
		got, err := w.Get(patiently(t))
		if err != nil {
			t.Fatalf("Get = %v; want to come to %v\nstatus: %+v", err, want, w.of.Status())
		}
		if got == want {
			return
		}
	}
}

// answer is what a Get on another goroutine returned.
type answer struct {
	value string
	err   error
}

func getBeside(ctx context.Context, w reader[string]) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		v, err := w.Get(ctx)
		c <- answer{v, err}
	}()
	return c
}

func (a answer) is(t *testing.T, want string) {
	t.Helper()
	if a.err != nil || a.value != want {
		t.Fatalf("the blocked Get = %q, %v; want %q", a.value, a.err, want)
	}
}

func (a answer) fails(t *testing.T, want error) {
	t.Helper()
	if !errors.Is(a.err, want) {
		t.Fatalf("the blocked Get = %q, %v; want the error %q", a.value, a.err, want)
	}
}

// running waits until the client has a watch running.
func (c *client) running(t *testing.T) {
	t.Helper()
	must(t, c.Wait(patiently(t), func(n fault.Counts) bool { return n.Streams > 0 }))
}

// nextStillArrives is the end of each scenario that has a fault in it.
func nextStillArrives(t *testing.T, through kv.Writer, watchers ...reader[string]) {
	t.Helper()
	rev := put(t, through, key, "next")
	for _, w := range watchers {
		gives(t, w, "next", value.AtLeast[string](rev))
	}
}
