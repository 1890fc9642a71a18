package value

import (
	"context"
	"iter"

	"github.com/watchkv/watchkv/kv"
)

// Result is what one [Watcher.Get] returned.
type Result[T any] struct {
	Value    T
	Err      error
	Revision kv.Revision // behind the value, the deletion or the bad value
}

// Chan returns a channel of what the Gets of a watcher return, for programs that use select. A newer value replaces a value that was
// not received yet, except with [EveryUpdate]. The channel is closed when ctx ends, or after a final error such as [ErrClosed].
// Nothing is left running then. There is no other way to end it.
func (v *Value[T]) Chan(ctx context.Context, opts ...WatchOption) <-chan Result[T] {
	out := make(chan Result[T])
	w := v.Watch(opts...)
	go func() {
		defer close(out)
		defer w.Close()
		for w.send(ctx, out) {
		}
	}()
	return out
}

// send is one Get whose outcome counts as returned when it was received from out: until then, what comes after it takes its place. It
// reports whether there may be more.
func (w *Watcher[T]) send(ctx context.Context, out chan<- Result[T]) bool {
	if w.v.misuse != nil {
		select {
		case out <- Result[T]{Err: w.v.misuse}:
		case <-ctx.Done():
		}
		return false
	}
	r := w.request(getConfig[T]{}, true)
	for {
		o, due := w.look(ctx, &r)
		if ctx.Err() != nil {
			return false
		}
		var offer *Result[T]
		if o.kind != noOutcome {
			offer = &Result[T]{Revision: w.Revision()}
			offer.Value, offer.Err = w.answer(&o)
			if o.kind == anUpdate {
				offer.Revision = o.update.Revision
			}
		}
		if w.await(ctx, &r, due, out, offer) {
			w.commit(&o)
			return offer.Err == nil || !isLast(ctx, offer.Err, nil)
		}
	}
}

// Updates is [Watcher.Updates] of a watcher that is opened when the iteration begins, and closed when it ends.
func (v *Value[T]) Updates(ctx context.Context, opts ...WatchOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		w := v.Watch(opts...)
		defer w.Close()
		w.Updates(ctx)(yield)
	}
}
