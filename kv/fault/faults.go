package fault

import (
	"context"
	"errors"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Fail makes the next n matching calls fail with err. If n is below zero, all matching calls fail until the rule is removed.
// A Watch that fails yields err and nothing else.
//
// With [Answered] the store does the operation, and err replaces its answer. So a write that happened is reported as failed,
// and a running stream ends with err where its next batch would have been.
//
// err is wrapped in a [*kv.OpError] that names the call. If it is a [*kv.OpError] already, it is returned unchanged. A nil
// err panics.
func (s *Store) Fail(n int, err error, match ...Match) *Rule {
	if err == nil {
		panic("fault.Fail: nil error")
	}
	return s.add(&Rule{kind: fail, left: n, err: err, match: match})
}

// Delay makes every matching call take d longer, until the rule is removed. Then delayed calls go on at once. With
// [Answered] it delays the answers: Delay(d, Watches, Answered) delivers every batch d later.
func (s *Store) Delay(d time.Duration, match ...Match) *Rule {
	return s.add(&Rule{kind: delay, left: -1, delay: d, match: match})
}

// Hold stops the next matching call before it reaches the store. With [Answered] it stops the call after the store has
// answered, before the caller sees the answer. One Hold holds one call; later calls pass.
func (s *Store) Hold(match ...Match) *Hold {
	h := &Hold{reached: make(chan struct{})}
	h.rule = s.add(&Rule{kind: hold, left: 1, match: match, reached: h.reached})
	return h
}

// Hold is one call that is stopped at a chosen moment, or that will be. Make it with [Store.Hold]. Its methods may be called
// concurrently.
type Hold struct {
	rule    *Rule
	reached chan struct{} // closed once, when a call is held
}

// Reached returns a channel that is closed once a call is held.
func (h *Hold) Reached() <-chan struct{} { return h.reached }

// Wait returns nil when a call is held or was held. It fails if ctx ends first, and if the Hold is released before any call
// came.
func (h *Hold) Wait(ctx context.Context) error {
	select {
	case <-h.reached:
		return nil
	case <-h.rule.removed:
	case <-ctx.Done():
	}
	select {
	case <-h.reached: // the other channel was ready too
		return nil
	default:
	}
	op := "wait for " + h.String()
	if ctx.Err() != nil {
		return &kv.OpError{Store: name, Op: op, Reason: ctx.Err()}
	}
	return &kv.OpError{Store: name, Op: op, Reason: errReleased}
}

var errReleased = errors.New("released before a call came")

// Release lets the held call go on. If no call is held yet, none will be. It may be called more than once.
func (h *Hold) Release() { h.rule.Remove() }

// String describes the calls that are held, or will be.
func (h *Hold) String() string { return h.rule.String() }

// Cut cuts the matching calls off from the store, until [Store.Heal]. Calls hang until their context ends or the cut is
// healed. Running streams go silent.
//
// A cut also catches answers on their way: a call that the store is already answering hangs. So a write that hangs in a cut
// may or may not have happened, as on a network.
//
// After the heal a stream resumes as a reconnecting client does: it watches again after the last batch that it received, and
// delivers all that it missed. If that history was compacted meanwhile, the stream ends with [kv.ErrCompacted], even if
// nothing in its range has changed.
//
// A stream has no buffer, so it has received exactly what it has delivered. A batch that a Hold or a Delay keeps back is
// still on its way: the cut catches it, and the stream reads it again after the heal. A consumer that is busy when the cut
// comes gets nothing more before the heal. Here etcd's client differs: it would still deliver what it had received.
//
// With [Answered], requests arrive and only the answers are cut off.
func (s *Store) Cut(match ...Match) *Rule {
	r := s.add(&Rule{kind: cut, left: -1, match: match})
	s.interrupt(func(st *stream) {
		if r.matches(st.call) {
			st.disconnect()
		}
	})
	return r
}

// Freeze stops the matching calls as Cut does, but streams keep their open watches at the store. It is a program that is
// suspended, or a network so slow that it seems dead. After [Store.Heal] a stream delivers what it missed, even if that was
// compacted, as far as the wrapped store kept it for the open watch.
func (s *Store) Freeze(match ...Match) *Rule {
	return s.add(&Rule{kind: freeze, left: -1, match: match})
}

// Heal ends every [Store.Cut] and [Store.Freeze]. Calls that hang go on to the store. Streams go on with what they missed.
func (s *Store) Heal() { s.removeAll(cut, freeze) }

// EndStreams makes every running watch that matches end now with err, whatever it is waiting for. Batches that it had read
// and not delivered are lost. Watches that begin later are not affected; for these see [Store.Fail].
//
// err is wrapped as by Fail. A nil err ends the streams without an error, which no store may do.
func (s *Store) EndStreams(err error, match ...Match) {
	s.interrupt(func(st *stream) {
		if matches(match).match(st.call) {
			st.end(&streamEnd{err})
		}
	})
}

// Silence makes every running watch that matches deliver nothing more, for ever: no batches and no errors. The watch ends
// with its context, or by [Store.EndStreams]. Gets, and watches that begin later, work.
func (s *Store) Silence(match ...Match) {
	s.interrupt(func(st *stream) {
		if matches(match).match(st.call) {
			st.silent = true
			st.disconnect()
		}
	})
}
