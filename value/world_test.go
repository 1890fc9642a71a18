package value_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/internal/promises"
	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// backend is what a store needs so that the tests of the guarantees can run on it.
type backend interface {
	kv.Store
	kv.Writer
	Compact(ctx context.Context, revision kv.Revision) error
	// Backup saves the state of the store, and Restore goes back to the state that was saved last.
	Backup(ctx context.Context) error
	Restore(ctx context.Context) error
}

// world is the environment of one test: a store, the faults around it, and the promise that the test checks.
type world struct {
	testing.TB
	*valuetest.Harness
	*fault.Store
	promise string
	backend backend
	key     string
}

// each runs a test on every store.
func each(t *testing.T, promise string, test func(w *world)) {
	t.Run("memory", func(t *testing.T) { inBubble(t, promise, test) })
	t.Run("etcd", func(t *testing.T) {
		onEtcd(t, promise, test)
	})
}

// inBubble runs a test on the memory store, with the time of a bubble.
func inBubble(t *testing.T, promise string, test func(w *world)) {
	t.Helper()
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		test(newWorld(t, promise, &memoryBackend{Store: memory.New()}, valuetest.Config{
			Patience: 30 * time.Minute, AtOnce: 30 * time.Minute, Settle: synctest.Wait,
		}))
	})
}

// modes are the two kinds of watchers.
var modes = map[string][]value.WatchOption{"newest": nil, "every": {value.EveryUpdate()}}

// eachMode runs a test with the options of each kind of watcher. on is each or inBubble.
func eachMode(t *testing.T, on func(*testing.T, string, func(*world)), promise string, test func(w *world, opts ...value.WatchOption)) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			on(t, promise, func(w *world) { test(w, opts...) })
		})
	}
}

// worlds counts the worlds. So each test on the shared server gets a new key, even if it is run again.
var worlds atomic.Int64

// newWorld returns a world on a backend. It completes config, which has the time limits of the backend.
func newWorld(t testing.TB, promise string, b backend, config valuetest.Config) *world {
	w := &world{
		TB: t, promise: promise, backend: b, Store: fault.New(b),
		key: fmt.Sprintf("/%s/%d", t.Name(), worlds.Add(1)),
	}
	config.T, config.Key, config.Faults = reporter{w}, w.key, w.Store
	w.Harness = valuetest.New(config)
	t.Cleanup(func() { // after the watchers are closed
		if n := w.Counts().Streams; n != 0 {
			w.broken("%d watches of the store are left after all watchers were closed", n)
		}
	})
	return w
}

// reporter passes the findings of a harness to a world, as broken promises.
type reporter struct{ *world }

func (r reporter) Fatalf(format string, args ...any) {
	r.Helper()
	r.broken(format, args...)
}

type memoryBackend struct {
	*memory.Store
	backup *memory.Backup
}

func (b *memoryBackend) Backup(context.Context) error {
	b.backup = b.Store.Backup()
	return nil
}

func (b *memoryBackend) Restore(context.Context) error { return b.Store.Restore(b.backup) }

// Fail is the method of the fault store, not of testing.TB.
func (w *world) Fail(n int, err error, match ...fault.Match) *fault.Rule {
	return w.Store.Fail(n, err, match...)
}

// broken fails the test. It says what was promised, quotes the documentation, and says what happened and how to run the test again.
func (w *world) broken(format string, args ...any) {
	w.Helper()
	documented := promises.All(w.TB)
	var quoted strings.Builder
	for _, number := range regexp.MustCompile(`[VM]\d+`).FindAllString(w.promise, -1) {
		fmt.Fprintf(&quoted, "\n          %s: %s", number, documented[number])
	}
	var name []string
	for part := range strings.SplitSeq(w.Name(), "/") {
		name = append(name, "^"+regexp.QuoteMeta(part)+"$")
	}
	w.Fatalf("\npromised: %s%s\nhappened: %s\nalone:    go test ./value -run '%s'",
		w.promise, &quoted, fmt.Sprintf(format, args...), strings.Join(name, "/"))
}

// must fails the test for an error of the test itself.
func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("the test itself: %v", err)
	}
}
