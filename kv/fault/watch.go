package fault

import (
	"container/list"
	"context"
	"iter"

	"github.com/watchkv/watchkv/kv"
)

// Watch is [kv.Store]'s Watch of the wrapped store, with the faults that match.
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return s.watch(ctx, r, after, nil)
}

// WatchAcknowledged is [kv.WatchAcknowledged] of the wrapped store, with the faults that match. A stream that begins cut
// off, or held, is acknowledged once it has reached the store and the store has acknowledged it. It is acknowledged once,
// however often it is cut off and resumed.
//
// An acknowledgement is an answer to cuts and freezes, which keep it back. To all other faults the answers to a
// watch are its batches.
func (s *Store) WatchAcknowledged(ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	return s.watch(ctx, r, after, acknowledged)
}

// watch is Watch, and WatchAcknowledged where acknowledged is not nil.
func (s *Store) watch(ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	if r.Validate() != nil || after < 0 {
		return s.store.Watch(ctx, r, after) // which refuses it, so there is nothing to acknowledge
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

// stream is one iteration of a watch. It runs in the goroutine of its consumer and has none of its own: to
// reach a stream that waits inside the wrapped store, the context which that store was given is ended, and
// the store ends its watch at once (W12).
type stream struct {
	call   Call
	caller context.Context

	// Used by the consumer's goroutine alone.
	position     kv.Revision // what the stream has been through
	acknowledged func()      // to be called; nil where it was, or nobody asked

	// ctx ends with the caller's, or by end.
	ctx context.Context
	end context.CancelCauseFunc

	// Guarded by Store.mu.
	disconnect context.CancelFunc // ends the present watch of the wrapped store, if there is one
	silent     bool
	place      *list.Element // in Store.streams
}

// streamEnd is why a stream's context ended, when EndStreams ended it.
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

// interrupt does something to every running stream. do is called with mu held.
func (s *Store) interrupt(do func(*stream)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.streams.Front(); e != nil; e = e.Next() {
		do(e.Value.(*stream))
	}
}

// follow opens a watch of the wrapped store where the stream stands, once nothing bars it, and delivers
// what that yields. It reports whether the stream goes on: the watch was disconnected, not ended.
func (s *Store) follow(st *stream, yield func(kv.Batch, error) bool) bool {
	ctx, err := s.connect(st)
	if err != nil {
		st.fail(yield, err)
		return false
	}
	for batch, err := range s.open(ctx, st) {
		if ended := st.caller.Err(); err != nil && ended != nil {
			// The connection ends a moment after the caller's context, or was ended before: then the store speaks of that.
			if gone := ctx.Err(); gone != nil && gone != ended {
				err = st.call.ended(st.caller)
			}
			yield(kv.Batch{}, err)
			return false
		}
		if ctx.Err() != nil {
			break // what comes now is of a connection that is gone; it is read again by the next
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
	return ctx.Err() != nil // else the store ended without an error, and so does the stream
}

// open returns a watch of the wrapped store from where the stream stands.
func (s *Store) open(ctx context.Context, st *stream) iter.Seq2[kv.Batch, error] {
	if st.acknowledged == nil {
		return s.store.Watch(ctx, st.call.Range, st.position)
	}
	return kv.WatchAcknowledged(ctx, s.store, st.call.Range, st.position, func() { s.acknowledge(ctx, st) })
}

// acknowledge passes on that the wrapped store has acknowledged its watch, once no cut and no freeze keeps its answers
// back. If the watch is disconnected before that, the acknowledgement is lost with it, and that of the next one counts.
func (s *Store) acknowledge(ctx context.Context, st *stream) {
	if s.gate(ctx, st.call.answered()) != nil || ctx.Err() != nil || st.acknowledged == nil {
		return
	}
	acknowledged := st.acknowledged
	st.acknowledged = nil
	acknowledged()
}

// connect waits until nothing bars the stream and returns the context for its next watch of the wrapped
// store.
func (s *Store) connect(st *stream) (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.gateLocked(st.ctx, st.call, func() bool { return st.silent || s.barred(st.call) }); err != nil {
		return nil, err
	}
	// Made under the lock that was held when nothing barred the stream, so that no cut can slip between.
	ctx, cancel := context.WithCancel(st.ctx)
	st.disconnect = cancel
	return ctx, nil
}

// fail yields err as the stream's end.
func (st *stream) fail(yield func(kv.Batch, error) bool, err error) {
	if end, ok := err.(*streamEnd); ok {
		if end.err == nil {
			return
		}
		err = st.call.failure(end.err)
	}
	yield(kv.Batch{}, err)
}
