package etcd

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/watchkv/watchkv/kv"
)

// Watch implements [kv.Store].
//
// The watch rides out what etcd's client can: a member that stops, a connection that breaks. It ends when
// etcd ends it, when the member it is connected to has lost its leader, and when the history it delivered
// turns out to have been replaced, which it learns from the answers to all calls of this Store. It never
// begins again by itself.
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return s.WatchAcknowledged(ctx, r, after, nil)
}

// WatchAcknowledged implements [kv.Acknowledger]. acknowledged is called when a member has said that it serves the watch.
func (s *Store) WatchAcknowledged(ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	op := func() string { return fmt.Sprintf("watch %s after %d", shortenRange(r), after) }
	return func(yield func(kv.Batch, error) bool) {
		err := r.Validate()
		if err == nil && after < 0 {
			err = fmt.Errorf("%w: a watch after a negative revision", kv.ErrInvalidRange)
		}
		if err != nil {
			yield(kv.Batch{}, invalid(op, err))
			return
		}
		if err := s.ready(ctx, op); err != nil {
			yield(kv.Batch{}, err)
			return
		}
		w := s.newStream(ctx, r, after)
		w.acknowledged = acknowledged
		defer w.close()
		for {
			batch, err := w.next()
			if err != nil {
				w.close() // before the consumer is told: nothing is left running when it hears of the end
				yield(kv.Batch{}, s.ended(ctx, op, err))
				return
			}
			w.lend()
			if !yield(batch, nil) {
				return
			}
			w.takeBack()
		}
	}
}

// ended returns err as the last error of a watch. Whatever else has happened, an ended context is what is said.
func (s *Store) ended(ctx context.Context, op func() string, err error) error {
	if ctx.Err() != nil {
		return &kv.OpError{Store: storeName, Op: op(), Reason: ctx.Err()}
	}
	var known *kv.OpError
	if errors.As(err, &known) {
		return &kv.OpError{Store: storeName, Op: op(), Reason: known.Reason, Cause: known.Cause}
	}
	return s.failed(ctx, op, err)
}

// next returns what comes next in the stream, and waits for it.
func (w *stream) next() (kv.Batch, error) {
	for {
		// The end comes before what is held: it is to be prompt.
		select {
		case <-w.ctx.Done():
			return kv.Batch{}, w.ctx.Err()
		case <-w.history.replaced:
			return kv.Batch{}, errReplaced
		default:
		}
		batch, ok, err := w.held.take()
		if ok {
			return batch, nil
		}
		if err == nil {
			batch, err = w.receive(w.history.replaced)
		}
		switch err {
		case nil:
			w.took(batch)
			return batch, nil
		case errAgain:
			w.held.reopen()
		case errStopped:
			return kv.Batch{}, errReplaced
		default:
			return kv.Batch{}, err
		}
	}
}
