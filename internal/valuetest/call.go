package valuetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// ErrInVain is what a Get has returned that was given up, because it has waited as long as anything may take.
var ErrInVain = errors.New("waited in vain")

// Got is what a Get has returned.
type Got[V any] struct {
	Value    V
	Err      error
	Revision kv.Revision // behind it; zero with value.ErrConcurrentGet
}

func (g Got[V]) String() string {
	if g.Err != nil {
		return Describe(g.Value, g.Err)
	}
	return fmt.Sprintf("%s of revision %d", Brief(g.Value), g.Revision)
}

// Describe describes what a call has returned.
func Describe(v any, err error) string {
	if err != nil {
		return fmt.Sprintf("the error %q", err)
	}
	return Brief(v)
}

// Brief returns v in Go's syntax, shortened where it is long, or says what a [value.View] is of.
func Brief(v any) string {
	if view, ok := v.(interface {
		Revision() kv.Revision
		Len() int
	}); ok {
		return fmt.Sprintf("a View of %d keys at revision %d", view.Len(), view.Revision())
	}
	if text, ok := v.(string); ok && len(text) > 80 {
		return fmt.Sprintf("%#v... (%d bytes)", text[:60], len(text)) // it may have megabytes
	}
	text := fmt.Sprintf("%#v", v)
	if len(text) > 80 {
		return fmt.Sprintf("%s... (%d bytes)", text[:60], len(text))
	}
	return text
}

// Call is a Get that runs concurrently with the test.
type Call[V any] struct {
	of     *Watcher[V]
	cancel context.CancelFunc
	done   chan struct{}
	got    Got[V] // set before done is closed
}

// Begin begins a Get.
func (w *Watcher[V]) Begin(opts ...value.GetOption[V]) *Call[V] {
	ctx, cancel := w.h.bounded()
	c := &Call[V]{of: w, cancel: cancel, done: make(chan struct{})}
	began := make(chan struct{})
	go func() {
		defer cancel()
		defer close(c.done)
		close(began)
		c.got = w.get(ctx, opts)
	}()
	<-began
	return c
}

func (w *Watcher[V]) get(ctx context.Context, opts []value.GetOption[V]) Got[V] {
	v, err := w.Reader.Get(ctx, opts...)
	got := Got[V]{Value: v, Err: err}
	if err != nil && errors.Is(context.Cause(ctx), ErrInVain) {
		got.Err = ErrInVain
	}
	if !errors.Is(err, value.ErrConcurrentGet) { // else the revision is for the other Get to ask
		got.Revision = w.Revision()
	}
	return got
}

// Done is closed when the Get has returned.
func (c *Call[V]) Done() <-chan struct{} { return c.done }

// Got waits for what the Get returns. A Get that ignores its context ends the test.
func (c *Call[V]) Got() Got[V] {
	h := c.of.h
	h.config.T.Helper()
	select {
	case <-c.done:
	case <-time.After(h.patient + h.config.AtOnce):
		h.config.T.Fatalf("a Get of %s does not return", c.of.Name)
	}
	h.config.Log("  Get of %s returns %v", c.of.Name, c.got)
	return c.got
}

// Gives requires the Get to return want.
func (c *Call[V]) Gives(want V) Got[V] {
	c.of.h.config.T.Helper()
	return c.of.require(c.Got(), want)
}

// Fails requires the Get to return an error that matches want.
func (c *Call[V]) Fails(want error) Got[V] {
	c.of.h.config.T.Helper()
	return c.of.requireError(c.Got(), want)
}

// HasGap requires the Get to return a *GapError from one revision to another that matches why.
func (c *Call[V]) HasGap(from, to kv.Revision, why error) {
	c.of.h.config.T.Helper()
	c.of.requireGap(c.Got(), from, to, why)
}

// Waits requires the Get not to have returned yet. It can only fail for cause: what the Get waits for is not there.
func (c *Call[V]) Waits() {
	h := c.of.h
	h.config.T.Helper()
	h.Settle()
	select {
	case <-c.done:
		c.of.broken(c.got, "to wait")
	default:
	}
}

// Cancel cancels the Get, in a bubble once the Get waits. It requires the Get to return its context's error, at once.
func (c *Call[V]) Cancel() {
	h := c.of.h
	h.config.T.Helper()
	h.Settle()
	c.cancel()
	select {
	case <-c.done:
	case <-time.After(h.config.AtOnce):
		h.config.T.Fatalf("the context of a Get of %s has ended, and the Get has not returned %v later", c.of.Name, h.config.AtOnce)
	}
	c.Fails(context.Canceled)
}
