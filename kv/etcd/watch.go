package etcd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

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
		w := s.newWatch(ctx, r, after)
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

// watch is a watch that runs: one iteration of what [Store.Watch] has returned.
//
// etcd's client keeps the responses that the watch has not taken, without a bound. So some goroutine always takes them. While the
// consumer waits for the next batch, the consumer itself takes them, so that an update passes through no other goroutine. If the
// consumer is busy with a batch for longer than a moment, a stand-in takes the responses, into a buffer. When the buffer is full, the
// stand-in ends the watch at etcd. When the consumer has emptied the buffer, it opens another watch where the last one ended.
type watch struct {
	store   *Store
	r       kv.Range
	after   kv.Revision
	history *history // to which the revisions of this watch belong

	// acknowledged is called when the first source has begun; nil after that.
	acknowledged func()
	held         *buffer // holds what the stand-in has taken

	ctx    context.Context
	cancel context.CancelFunc
	close  func() // end, once

	// Owned by the stand-in while there is one, and by the consumer otherwise.
	source     *source     // nil while no watch of etcd's client is open
	fragment   bool        // etcd has to cut large responses into messages
	apart      bool        // each source has its own lane
	delivered  kv.Revision // the revision of the last batch that was received and kept; zero at first
	byBookmark bool        // delivered is that of a bookmark
	terms      map[uint64]uint64

	standIn standIn
}

func (s *Store) newWatch(ctx context.Context, r kv.Range, after kv.Revision) *watch {
	w := &watch{
		store:   s,
		r:       r,
		after:   after,
		apart:   isLong(r),
		history: s.identity.now(),
		held:    newBuffer(s.buffer),
		terms:   make(map[uint64]uint64),
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	s.connection.use()
	w.close = sync.OnceFunc(w.end)
	return w
}

// end ends the watch and everything that runs for it.
func (w *watch) end() {
	w.cancel()
	w.takeBack()
	w.letGo()
	w.store.connection.release()
}

// acknowledge reports, once, that the watch has begun.
func (w *watch) acknowledge() {
	if w.acknowledged != nil {
		w.acknowledged()
		w.acknowledged = nil
	}
}

// next waits for the next batch of the watch and returns it.
func (w *watch) next() (kv.Batch, error) {
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

// took notes that batch is kept. The next source begins after it.
func (w *watch) took(batch kv.Batch) { w.delivered, w.byBookmark = batch.Revision, batch.IsBookmark() }

// ended returns err as the last error of a watch. If ctx has ended, the last error is the error of ctx.
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
