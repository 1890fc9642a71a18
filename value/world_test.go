package value_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
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
	promise string
	backend backend
	*fault.Store
	key     string
	patient time.Duration // how long a Get may take before the test has failed
	bubble  bool
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
		w := newWorld(t, promise, &memoryBackend{Store: memory.New()})
		w.bubble, w.patient = true, 30*time.Minute
		test(w)
	})
}

// worlds counts them, so that a test that is run again on the one server has a key that nobody has written.
var worlds atomic.Int64

func newWorld(t testing.TB, promise string, b backend) *world {
	key := fmt.Sprintf("/%s/%d", t.Name(), worlds.Add(1))
	w := &world{TB: t, promise: promise, backend: b, Store: fault.New(b), key: key}
	t.Cleanup(func() { // after the watchers are closed
		if n := w.Counts().Streams; n != 0 {
			w.broken("%d watches of the store are left when all watchers are closed", n)
		}
	})
	return w
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

// settle waits until nothing happens any more. Outside a bubble nobody can know.
func (w *world) settle() {
	if w.bubble {
		synctest.Wait()
	}
}

// pass lets the time of the bubble go on.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// until waits for something that the faults have counted.
func (w *world) until(what string, holds func(fault.Counts) bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), w.patient)
	defer cancel()
	if err := w.Wait(ctx, holds); err != nil {
		w.broken("waiting until %s: %v", what, err)
	}
}

// streaming waits until n watches run, and in a bubble until the store knows them too.
func (w *world) streaming(n int) {
	w.Helper()
	w.until(fmt.Sprintf("%d watches run", n), func(c fault.Counts) bool { return c.Streams == n })
	w.settle()
}

// held waits until a call is held.
func (w *world) held(h *fault.Hold) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), w.patient)
	defer cancel()
	if err := h.Wait(ctx); err != nil {
		w.broken("%v", err)
	}
}

func watch[T any](w *world, v *value.Value[T], opts ...value.WatchOption) *value.Watcher[T] {
	watcher := v.Watch(opts...)
	w.Cleanup(func() { watcher.Close() })
	return watcher
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

func get[T any](w *world, from *value.Watcher[T], opts ...value.GetOption[T]) (T, error) {
	ctx, cancel := context.WithTimeout(w.Context(), w.patient)
	defer cancel()
	return from.Get(ctx, opts...)
}

func wantValue[T comparable](w *world, from *value.Watcher[T], want T, opts ...value.GetOption[T]) {
	w.Helper()
	got, err := get(w, from, opts...)
	if err != nil || got != want {
		w.broken("Get returned %s, want %v", describe(got, err), want)
	}
}

func wantErr[T any](w *world, from *value.Watcher[T], want error, opts ...value.GetOption[T]) error {
	w.Helper()
	got, err := get(w, from, opts...)
	if !errors.Is(err, want) {
		w.broken("Get returned %s, want the error %q", describe(got, err), want)
	}
	return err
}

func wantDecodeError[T any](w *world, from *value.Watcher[T], at kv.Revision) {
	w.Helper()
	got, err := get(w, from)
	var bad *value.DecodeError
	if !errors.As(err, &bad) || bad.Revision != at || bad.Key != w.key || bad.Err == nil {
		w.broken("Get returned %s, want a *DecodeError of revision %d", describe(got, err), at)
	}
}

func wantGap[T any](w *world, from *value.Watcher[T], after, to kv.Revision, why error) {
	w.Helper()
	got, err := get(w, from)
	var gap *value.GapError
	if !errors.As(err, &gap) {
		w.broken("Get returned %s, want a *GapError", describe(got, err))
	}
	if gap.Key != w.key || gap.From != after || gap.To != to || !errors.Is(err, why) {
		w.broken("Get returned %v, want a *GapError from %d to %d because of %v", err, after, to, why)
	}
}

// wantNothing checks that a Get would wait now.
func wantNothing[T any](w *world, from *value.Watcher[T], opts ...value.GetOption[T]) {
	w.Helper()
	if !w.bubble {
		if got, err := from.TryGet(opts...); !errors.Is(err, value.ErrNothingNew) {
			w.broken("there is %s, want nothing new", describe(got, err))
		}
		return
	}
	c := begin(w, from, opts...)
	w.settle()
	c.cancel()
	if got, err := c.end(); !errors.Is(err, context.Canceled) {
		w.broken("Get returned %s, want it to wait", describe(got, err))
	}
}

func describe(v any, err error) string {
	if err != nil {
		return fmt.Sprintf("the error %q", err)
	}
	return fmt.Sprintf("%#v", v)
}

// call is a Get under way in a goroutine of its own.
type call[T any] struct {
	cancel context.CancelFunc
	done   chan struct{}
	value  T
	err    error
}

func begin[T any](w *world, from *value.Watcher[T], opts ...value.GetOption[T]) *call[T] {
	ctx, cancel := context.WithTimeout(w.Context(), w.patient)
	c := &call[T]{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer cancel()
		defer close(c.done)
		c.value, c.err = from.Get(ctx, opts...)
	}()
	return c
}

func (c *call[T]) end() (T, error) {
	<-c.done
	return c.value, c.err
}

func (c *call[T]) want(w *world, want T) {
	w.Helper()
	got, err := c.end()
	if err != nil || any(got) != any(want) {
		w.broken("the Get that waited returned %s, want %v", describe(got, err), want)
	}
}

func (c *call[T]) wantErr(w *world, want error) {
	w.Helper()
	if got, err := c.end(); !errors.Is(err, want) {
		w.broken("the Get that waited returned %s, want the error %q", describe(got, err), want)
	}
}

func (c *call[T]) wantWaiting(w *world) {
	w.Helper()
	w.settle()
	select {
	case <-c.done:
		w.broken("Get returned %s, want it to wait", describe(c.value, c.err))
	default:
	}
}

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
