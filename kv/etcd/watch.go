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
// The watch survives what etcd's client survives: a member that stops, a connection that breaks. It ends when
// etcd ends it, when its member has lost its leader, and when the history that it has delivered
// was replaced. The answers to all calls of all Stores of the client show such a replacement. A watch that has ended does not
// begin again by itself.
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return s.WatchAcknowledged(ctx, r, after, nil)
}

// WatchAcknowledged implements [kv.Acknowledger]. acknowledged is called when a member has answered that it serves the watch.
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
				w.close() // first, so that nothing runs any more when the consumer gets the error
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

// ended returns err as the last error of a watch. If ctx has ended, it is the error of ctx, whatever else has happened.
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

// next waits for the next batch of the stream and returns it.
func (w *stream) next() (kv.Batch, error) {
	for {
		// The end comes before the batches that are held, so that it is prompt.
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
