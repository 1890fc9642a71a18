package value

import (
	"context"
	"iter"
)

// Chan returns a channel of what the Gets of a watcher return, for programs that use select. A newer value replaces a value that was
// not received yet, except with [EveryUpdate]. The channel is closed when ctx ends, or after a final error such as [ErrClosed].
// Nothing is left running then. There is no other way to end it.
func (v *Value[T]) Chan(ctx context.Context, opts ...WatchOption) <-chan Result[T] {
	out := make(chan Result[T])
	w := v.Watch(opts...)
	go func() {
		defer close(out)
		defer w.Close()
		for w.reader.send(ctx, out) {
		}
	}()
	return out
}

// send is one Get whose outcome counts as returned when it was received from out: until then, what comes after it takes its place. It
// reports whether there may be more.
func (r *reader[T]) send(ctx context.Context, out chan<- Result[T]) bool {
	if err := r.special().misuse; err != nil {
		select {
		case out <- Result[T]{Err: err}:
		case <-ctx.Done():
		}
		return false
	}
	q := r.request(getConfig[T]{}, true)
	for {
		o, due := r.look(ctx, &q)
		if ctx.Err() != nil {
			return false
		}
		var offer *Result[T]
		if o.kind != noOutcome {
			offer = &Result[T]{Revision: r.revision()}
			offer.Value, offer.Err = r.answer(&o)
			if o.kind == anUpdate {
				offer.Revision = o.update.Revision
			}
		}
		if r.await(ctx, &q, due, out, offer) {
			r.commit(&o)
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
