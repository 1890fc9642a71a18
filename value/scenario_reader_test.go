package value_test

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

const key = "/app/value"

// The delays between attempts are short here, so that no test waits long. So is the time after which a silent watch is checked, in tests
// that need the check.
const (
	shortest = 10 * time.Millisecond
	longest  = 200 * time.Millisecond
)

// openString opens a watcher of a string value. It is closed when the test ends.
func openString(t *testing.T, store kv.Store, opts ...value.Option) *valuetest.Watcher[string] {
	return openAs(t, store, value.String, opts)
}

func openAs[T any](t *testing.T, store kv.Store, decode func([]byte) (T, error), opts []value.Option, watchOpts ...value.WatchOption) *valuetest.Watcher[T] {
	opts = append([]value.Option{value.WithRetry(shortest, longest)}, opts...)
	v := value.New(store, key, decode, opts...)
	return valuetest.Follow(harness(t), valuetest.Sound(v), "", watchOpts...)
}

// harness returns a harness for watchers. The tests make the faults, and wait for them, by themselves.
func harness(t *testing.T) *valuetest.Harness {
	return valuetest.New(valuetest.Config{T: t, Key: key, Patience: patience, AtOnce: patience})
}

// running waits until the client has a watch running.
func (c *client) running(t *testing.T) {
	t.Helper()
	must(t, c.Wait(patiently(t), func(n fault.Counts) bool { return n.Streams > 0 }))
}

// nextStillArrives is the last step of each scenario with a fault.
func nextStillArrives(t *testing.T, through kv.Writer, watchers ...*valuetest.Watcher[string]) {
	t.Helper()
	rev := put(t, through, key, "next")
	for _, w := range watchers {
		w.Gives("next", value.AtLeast[string](rev))
	}
}
