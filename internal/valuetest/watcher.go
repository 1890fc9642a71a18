package valuetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// Value is a [value.Value], or something that a test has put in its place.
type Value[V any] interface {
	Watch(...value.WatchOption) Reader[V]
	Get(context.Context) (V, error)
	Latest() (value.Reading[V], bool)
	Status() value.Status
}

// Reader is a [value.Watcher], or something that a test has put in its place.
type Reader[V any] interface {
	Get(context.Context, ...value.GetOption[V]) (V, error)
	TryGet(...value.GetOption[V]) (V, error)
	Updates(context.Context, ...value.GetOption[V]) iter.Seq2[V, error]
	Revision() kv.Revision
	Close() error
}

// Sound returns v as a Value.
func Sound[V any](v *value.Value[V]) Value[V] { return sound[V]{v} }

type sound[V any] struct{ *value.Value[V] }

func (v sound[V]) Watch(opts ...value.WatchOption) Reader[V] { return v.Value.Watch(opts...) }

// Watcher is a Reader whose answers are checked. Values that are compared must be comparable.
type Watcher[V any] struct {
	Reader[V]
	Of   Value[V]
	Name string

	h *Harness
}

// Follow opens a watcher. The test's end closes it. Failures name it by name, or by a number if that is "". Follow may be called
// concurrently.
func Follow[V any](h *Harness, v Value[V], name string, opts ...value.WatchOption) *Watcher[V] {
	if n := h.opened.Add(1); name == "" {
		name = fmt.Sprintf("watcher %d", n)
	}
	h.config.Log("open a watcher, %s", name)
	w := &Watcher[V]{Reader: v.Watch(opts...), Of: v, Name: name, h: h}
	h.config.T.Cleanup(w.End)
	return w
}

// End closes the watcher, which must not take long. It may be called again.
func (w *Watcher[V]) End() {
	w.h.config.T.Helper()
	w.h.config.Log("close %s", w.Name)
	done := make(chan error, 1)
	go func() { done <- w.Reader.Close() }()
	select {
	case err := <-done:
		if err != nil {
			w.h.config.T.Fatalf("Close of %s failed: %v", w.Name, err)
		}
	case <-time.After(w.h.config.AtOnce):
		w.h.config.T.Fatalf("Close of %s has not returned after %v", w.Name, w.h.config.AtOnce)
	}
}

// Next makes one Get, which is bounded.
func (w *Watcher[V]) Next(opts ...value.GetOption[V]) (V, error) {
	w.h.config.T.Helper()
	got := w.next(opts)
	return got.Value, got.Err
}

// next makes one Get. In a bubble the caller's goroutine makes it: there a Get that ignores its context is found anyway.
func (w *Watcher[V]) next(opts []value.GetOption[V]) Got[V] {
	w.h.config.T.Helper()
	if !w.h.InBubble() {
		return w.Begin(opts...).Got()
	}
	ctx, cancel := w.h.bounded()
	defer cancel()
	got := w.get(ctx, opts)
	w.h.config.Log("  Get of %s returns %v", w.Name, got)
	return got
}

// Gives requires the next Get to return want.
func (w *Watcher[V]) Gives(want V, opts ...value.GetOption[V]) Got[V] {
	w.h.config.T.Helper()
	return w.require(w.next(opts), want)
}

// GivesEach requires the next Gets to return each of want, in order. Their revisions rise, from that of the last Get on.
func (w *Watcher[V]) GivesEach(want ...V) {
	w.h.config.T.Helper()
	before := w.Revision()
	for _, v := range want {
		got := w.Gives(v)
		if got.Revision <= before {
			w.broken(got, "a revision after %d", before)
		}
		before = got.Revision
	}
}

// Fails requires the next Get to return an error that matches want.
func (w *Watcher[V]) Fails(want error, opts ...value.GetOption[V]) Got[V] {
	w.h.config.T.Helper()
	return w.requireError(w.next(opts), want)
}

// FailsToDecode requires the next Get to return a *DecodeError of a revision.
func (w *Watcher[V]) FailsToDecode(at kv.Revision) Got[V] {
	w.h.config.T.Helper()
	got := w.next(nil)
	bad, ok := errors.AsType[*value.DecodeError](got.Err)
	if !ok || bad.Key != w.h.config.Key || bad.Revision != at || bad.Err == nil || got.Revision != at {
		w.broken(got, "a *DecodeError of %q at revision %d", w.h.config.Key, at)
	}
	return got
}

// HasGap requires the next Get to return a *GapError from one revision to another that matches why.
func (w *Watcher[V]) HasGap(from, to kv.Revision, why error) {
	w.h.config.T.Helper()
	w.requireGap(w.next(nil), from, to, why)
}

func (w *Watcher[V]) requireGap(got Got[V], from, to kv.Revision, why error) {
	w.h.config.T.Helper()
	gap, ok := errors.AsType[*value.GapError](got.Err)
	if !ok || gap.Key != w.h.config.Key || gap.From != from || gap.To != to || !errors.Is(got.Err, why) {
		w.broken(got, "a *GapError of %q from %d to %d that matches %q", w.h.config.Key, from, to, why)
	}
}

// ComesTo requires Gets to return want in the end, and no error before that.
func (w *Watcher[V]) ComesTo(want V) {
	w.h.config.T.Helper()
	for {
		got := w.next(nil)
		if got.Err != nil {
			w.broken(got, "%s in the end, without an error", Brief(want))
		}
		if any(got.Value) == any(want) {
			return
		}
	}
}

// GivesAfter requires Gets to return want, and before that at most errors that match passing.
func (w *Watcher[V]) GivesAfter(passing error, want V) {
	w.h.config.T.Helper()
	for {
		got := w.next(nil)
		if got.Err == nil && any(got.Value) == any(want) {
			return
		}
		if !errors.Is(got.Err, passing) {
			w.broken(got, "%s, after errors that match %q at most", Brief(want), passing)
		}
	}
}

// HasNothing requires that a Get would wait now. Outside a bubble the test has to have waited before for what makes news known.
func (w *Watcher[V]) HasNothing(opts ...value.GetOption[V]) {
	w.h.config.T.Helper()
	if !w.h.InBubble() {
		if got, err := w.TryGet(opts...); !errors.Is(err, value.ErrNothingNew) {
			w.h.config.T.Fatalf("TryGet of %s returned %s, want nothing new; %s", w.Name, Describe(got, err), w.Status())
		}
		return
	}
	c := w.Begin(opts...)
	w.h.Settle()
	c.cancel()
	if got := c.Got(); !errors.Is(got.Err, context.Canceled) {
		w.broken(got, "to wait")
	}
}

func (w *Watcher[V]) require(got Got[V], want V) Got[V] {
	w.h.config.T.Helper()
	if got.Err != nil || any(got.Value) != any(want) {
		w.broken(got, "%s", Brief(want))
	}
	return got
}

func (w *Watcher[V]) requireError(got Got[V], want error) Got[V] {
	w.h.config.T.Helper()
	if !errors.Is(got.Err, want) {
		w.broken(got, "the error %q", want)
	}
	return got
}

// broken fails the test because of what a Get has returned.
func (w *Watcher[V]) broken(got Got[V], want string, args ...any) {
	w.h.config.T.Helper()
	w.h.config.T.Fatalf("Get of %s returned %v, want %s; %s", w.Name, got, fmt.Sprintf(want, args...), w.Status())
}

// Status describes the Status of the Value.
func (w *Watcher[V]) Status() string {
	s := w.Of.Status()
	return fmt.Sprintf("the Value's Status: connected %v, at revision %d, last error %v, lost events %d, resets %d",
		s.Connected, s.Revision, s.LastError, s.Holes, s.Resets)
}
