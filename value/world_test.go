package value_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// backend is what a store has to be able to do for the tests of the guarantees to be run on it.
type backend interface {
	kv.Store
	kv.Writer
	Compact(ctx context.Context, revision kv.Revision) error
	// Backup remembers the state of the store, and Restore goes back to the state last remembered.
	Backup(ctx context.Context) error
	Restore(ctx context.Context) error
}

// world is where one test takes place: a store, the faults around it, and a promise that is to be kept.
type world struct {
	testing.TB
	*valuetest.Harness
	*fault.Store
	promise string
	backend backend
	key     string
}

// each runs a test on every store there is.
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

// eachMode runs a test with the options of each kind of watchers, on is each or inBubble.
func eachMode(t *testing.T, on func(*testing.T, string, func(*world)), promise string, test func(w *world, opts ...value.WatchOption)) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			on(t, promise, func(w *world) { test(w, opts...) })
		})
	}
}

// worlds counts them, so that a test that is run again on the one server has a key that nobody has written.
var worlds atomic.Int64

// newWorld returns a world on a backend. It completes config, which says how long things may take there.
func newWorld(t testing.TB, promise string, b backend, config valuetest.Config) *world {
	w := &world{
		TB: t, promise: promise, backend: b, Store: fault.New(b),
		key: fmt.Sprintf("/%s/%d", t.Name(), worlds.Add(1)),
	}
	config.T, config.Key, config.Faults = reporter{w}, w.key, w.Store
	w.Harness = valuetest.New(config)
	t.Cleanup(func() { // after the watchers are closed
		if n := w.Counts().Streams; n != 0 {
			w.broken("%d watches of the store are left when all watchers are closed", n)
		}
	})
	return w
}

// reporter is how a harness reports to a world: what it finds is a broken promise.
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

// Fail is the store's, not the test's.
func (w *world) Fail(n int, err error, match ...fault.Match) *fault.Rule {
	return w.Store.Fail(n, err, match...)
}

// broken fails the test: it says what was promised, what happened, and how to see it again.
func (w *world) broken(format string, args ...any) {
	w.Helper()
	var name []string
	for part := range strings.SplitSeq(w.Name(), "/") {
		name = append(name, "^"+regexp.QuoteMeta(part)+"$")
	}
	w.Fatalf("\npromised: %s\nhappened: %s\nalone:    go test ./value -run '%s'",
		w.promise, fmt.Sprintf(format, args...), strings.Join(name, "/"))
}

// must fails the test for an error of the test's own doing.
func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("the test itself: %v", err)
	}
}

// put writes past the faults.
func (w *world) put(v string) kv.Revision {
	w.Helper()
	r, err := w.backend.Put(w.Context(), w.key, []byte(v))
	w.must(err)
	return r
}

// putOther writes another key, past the faults.
func (w *world) putOther() kv.Revision {
	w.Helper()
	r, err := w.backend.Put(w.Context(), w.key+"/other", []byte("x"))
	w.must(err)
	return r
}

func (w *world) delete() kv.Revision {
	w.Helper()
	r, err := w.backend.Delete(w.Context(), w.key)
	w.must(err)
	return r
}

// compact forgets all history before the present.
func (w *world) compact() kv.Revision {
	w.Helper()
	r := w.putOther()
	w.must(w.backend.Compact(w.Context(), r))
	return r
}

func (w *world) text(opts ...value.Option) *value.Value[string] {
	return value.New(w.Store, w.key, value.String, opts...)
}

// pass lets the time of the bubble go on.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// watch opens a watcher, which the test's end closes.
func watch[T any](w *world, v *value.Value[T], opts ...value.WatchOption) *valuetest.Watcher[T] {
	return valuetest.Follow(w.Harness, valuetest.Sound(v), "", opts...)
}

// number is a Value of the numbers that putNumbers puts.
func (w *world) number(opts ...value.Option) *value.Value[int] {
	return value.New(w.Store, w.key, value.JSON[int], opts...)
}

// numbers are those from first up to last.
func numbers(first, last int) []int {
	var all []int
	for i := first; i <= last; i++ {
		all = append(all, i)
	}
	return all
}

// putNumbers puts each number from first up to last, and returns the revision of the last.
func (w *world) putNumbers(first, last int) (rev kv.Revision) {
	w.Helper()
	for _, i := range numbers(first, last) {
		rev = w.put(strconv.Itoa(i))
	}
	return rev
}

// both opens a watcher of the newest value and one of every update. Both return want.
func both[T any](w *world, v *value.Value[T], want T) (newest, every *valuetest.Watcher[T]) {
	w.Helper()
	newest, every = watch(w, v), watch(w, v, value.EveryUpdate())
	newest.Gives(want)
	every.Gives(want)
	return newest, every
}

// watchFrom puts a text, and opens a watcher of v that has returned it.
func (w *world) watchFrom(text string, v *value.Value[string], opts ...value.WatchOption) *valuetest.Watcher[string] {
	w.Helper()
	w.put(text)
	a := watch(w, v, opts...)
	a.Gives(text)
	return a
}

// everyFrom puts a number, and opens a watcher of every update that has returned it. The options are the Value's.
func (w *world) everyFrom(number int, opts ...value.Option) *valuetest.Watcher[int] {
	w.Helper()
	w.putNumbers(number, number)
	a := watch(w, w.number(opts...), value.EveryUpdate())
	a.Gives(number)
	return a
}

// losesForGood puts numbers while the Values are cut off, and has the store forget them. It returns the revision of the last.
func (w *world) losesForGood(first, last int) kv.Revision {
	w.Helper()
	w.Cut()
	rev := w.putNumbers(first, last)
	w.compact()
	w.Heal()
	return rev
}

// channel is v.Chan, ended with the test.
func channel[T any](w *world, v *value.Value[T], opts ...value.WatchOption) <-chan value.Result[T] {
	ctx, cancel := context.WithCancel(w.Context())
	out := v.Chan(ctx, opts...)
	w.Cleanup(func() {
		cancel()
		for range out {
		}
	})
	return out
}

// describe describes what a call has returned.
var describe = valuetest.Describe

// logbook is a logger's output.
type logbook struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

func (l *logbook) option() value.Option {
	return value.WithLogger(slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

func (l *logbook) count(text string) int { return strings.Count(l.String(), text) }
