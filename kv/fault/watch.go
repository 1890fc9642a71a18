package fault

import (
	"container/list"
	"context"
	"iter"

	"github.com/watchkv/watchkv/kv"
)

// Watch calls the wrapped store's Watch, with the faults that match.
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return s.watch(ctx, r, after, nil)
}

// WatchAcknowledged calls [kv.WatchAcknowledged] of the wrapped store, with the faults that match. A stream that begins
// while it is cut off or held is acknowledged when it has reached the store and the store has acknowledged it. It is
// acknowledged once, however often it is cut off and resumed.
//
// Cuts and freezes keep an acknowledgement back, as they keep any answer back. For all other faults, only the batches are
// answers to a watch.
func (s *Store) WatchAcknowledged(ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	return s.watch(ctx, r, after, acknowledged)
}

// watch does Watch, and WatchAcknowledged if acknowledged is not nil.
func (s *Store) watch(ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	if r.Validate() != nil || after < 0 {
		return s.store.Watch(ctx, r, after) // the store refuses it, so there is nothing to acknowledge
	}
	return func(yield func(kv.Batch, error) bool) {
		st := s.begin(ctx, Call{Op: Watches, Range: r, After: after}, acknowledged)
		defer s.finish(st)
		if err := s.meet(st.ctx, st.call); err != nil {
			st.fail(yield, err)
			return
		}
		for s.follow(st, yield) {
		}
	}
}

// stream is one iteration of a watch. It runs in its consumer's goroutine and has no other. To interrupt a stream that waits
// inside the wrapped store, end the context of that store's watch: the store then ends the watch at once (W12).
type stream struct {
	call   Call
	caller context.Context

	// These fields are used only by the consumer's goroutine.
	position     kv.Revision // up to which the stream has delivered
	acknowledged func()      // nil after the call, or if the caller does not want it

	// ctx ends with the caller's context, or by end.
	ctx context.Context
	end context.CancelCauseFunc

	// These fields are guarded by Store.mu.
	disconnect context.CancelFunc // ends the current watch of the wrapped store, if there is one
	silent     bool
	place      *list.Element // in Store.streams
}

// streamEnd is the cause of a stream's context that EndStreams ended.
type streamEnd struct{ err error }

func (e *streamEnd) Error() string { return "ended by EndStreams" }

func (s *Store) begin(ctx context.Context, c Call, acknowledged func()) *stream {
	st := &stream{call: c, caller: ctx, position: c.After, acknowledged: acknowledged, disconnect: func() {}}
	st.ctx, st.end = context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	st.place = s.streams.PushBack(st)
	s.countLocked(func(n *Counts) { n.begin(Watches); n.Streams++ })
	return st
}

func (s *Store) finish(st *stream) {
	st.end(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams.Remove(st.place)
	s.countLocked(func(n *Counts) { n.Streams-- })
}

// interrupt calls do with every running stream, with mu held.
func (s *Store) interrupt(do func(*stream)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.streams.Front(); e != nil; e = e.Next() {
		do(e.Value.(*stream))
	}
}

// follow watches the wrapped store from the stream's position, once no fault bars it, and delivers the batches. It reports
// whether the stream goes on: then the watch was disconnected and has not ended.
func (s *Store) follow(st *stream, yield func(kv.Batch, error) bool) bool {
	ctx, err := s.connect(st)
	if err != nil {
		st.fail(yield, err)
		return false
	}
	for batch, err := range s.open(ctx, st) {
		if ended := st.caller.Err(); err != nil && ended != nil {
			// The connection's context ends a moment after the caller's, or ended before it. In the second case the store's
			// error is about the connection, so return the caller's.
			if gone := ctx.Err(); gone != nil && gone != ended {
				err = st.call.ended(st.caller)
			}
			yield(kv.Batch{}, err)
			return false
		}
		if ctx.Err() != nil {
			break // this batch is from a connection that is gone; the next connection reads it again
		}
		if err := s.meet(st.ctx, st.call.answered()); err != nil {
			st.fail(yield, err)
			return false
		}
		if s.gate(ctx, st.call.answered()) != nil || ctx.Err() != nil {
			break
		}
		if err != nil {
			yield(kv.Batch{}, err)
			return false
		}
		st.position = batch.Revision
		if !s.deliver(st, batch, yield) {
			return false
		}
	}
	if st.ctx.Err() != nil {
		st.fail(yield, st.call.ended(st.ctx))
		return false
	}
	return ctx.Err() != nil // otherwise the store ended without an error, and so does the stream
}

// open returns a watch of the wrapped store from the stream's position.
func (s *Store) open(ctx context.Context, st *stream) iter.Seq2[kv.Batch, error] {
	if st.acknowledged == nil {
		return s.store.Watch(ctx, st.call.Range, st.position)
	}
	return kv.WatchAcknowledged(ctx, s.store, st.call.Range, st.position, func() { s.acknowledge(ctx, st) })
}

// acknowledge passes the wrapped store's acknowledgement on, once no cut and no freeze keeps answers back. If the watch is
// disconnected before that, the acknowledgement is lost, and that of the next watch counts.
func (s *Store) acknowledge(ctx context.Context, st *stream) {
	if s.gate(ctx, st.call.answered()) != nil || ctx.Err() != nil || st.acknowledged == nil {
		return
	}
	acknowledged := st.acknowledged
	st.acknowledged = nil
	acknowledged()
}

// connect waits until no fault bars the stream, and returns the context for its next watch of the wrapped store.
func (s *Store) connect(st *stream) (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.gateLocked(st.ctx, st.call, func() bool { return st.silent || s.barred(st.call) }); err != nil {
		return nil, err
	}
	// The context is made under the lock under which no fault barred the stream, so no cut can come in between.
	ctx, cancel := context.WithCancel(st.ctx)
	st.disconnect = cancel
	return ctx, nil
}

// fail yields err as the last pair of the stream.
func (st *stream) fail(yield func(kv.Batch, error) bool, err error) {
	if end, ok := err.(*streamEnd); ok {
		if end.err == nil {
			return
		}
		err = st.call.failure(end.err)
	}
	yield(kv.Batch{}, err)
}
