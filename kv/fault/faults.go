package fault

import (
	"context"
	"errors"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Fail makes the next n matching calls fail with err; with n below zero all of them, until the rule is
// removed. A Watch that fails yields err and nothing else: it opens and dies at once.
//
// With [Answered] the store does what was asked and err takes the place of its answer: a write that
// happened is reported as failed, a running stream ends with err where its next batch would have come.
//
// err is wrapped in a [*kv.OpError] that names the call, unless it is one already: then it comes back as it
// is. A nil err panics.
func (s *Store) Fail(n int, err error, match ...Match) *Rule {
	if err == nil {
		panic("fault.Fail: nil error")
	}
	return s.add(&Rule{kind: fail, left: n, err: err, match: match})
}

// Delay makes every matching call take d longer, until the rule is removed; calls in their delay then go
// on at once. With [Answered] it is the answers that come later: so Delay(d, Watches, Answered) delivers
// every batch d after the stream could have.
func (s *Store) Delay(d time.Duration, match ...Match) *Rule {
	return s.add(&Rule{kind: delay, left: -1, delay: d, match: match})
}

// Hold stops the next matching call before it reaches the store or, with [Answered], after the store has
// answered and before the caller sees that. One Hold holds one call; those after it pass.
func (s *Store) Hold(match ...Match) *Hold {
	h := &Hold{reached: make(chan struct{})}
	h.rule = s.add(&Rule{kind: hold, left: 1, match: match, reached: h.reached})
	return h
}

// Hold is one call stopped at a chosen moment, or the intention to stop one. Make it with [Store.Hold]. It
// may be used from several goroutines.
type Hold struct {
	rule    *Rule
	reached chan struct{} // closed when a call is held, once
}

// Reached returns a channel that is closed once a call is held.
func (h *Hold) Reached() <-chan struct{} { return h.reached }

// Wait returns nil once a call is held, also if it has been let go since. It fails when ctx ends before,
// and when the Hold is released before any call came.
func (h *Hold) Wait(ctx context.Context) error {
	select {
	case <-h.reached:
		return nil
	case <-h.rule.removed:
	case <-ctx.Done():
	}
	select {
	case <-h.reached: // the other was ready as well
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

// Release lets the call go on. If none is held yet, none will be. It may be called more than once.
func (h *Hold) Release() { h.rule.Remove() }

// String says what is held, or is to be.
func (h *Hold) String() string { return h.rule.String() }

// Cut cuts the matching calls off from the store, until [Store.Heal]. Calls hang, until their context ends
// or the cut is healed. Running streams go silent.
//
// What is on its way is caught as well: a call that the store is already answering hangs with its answer, so
// that a write hanging in a cut may or may not have happened, as on a network.
//
// A stream that was cut off resumes as one of a reconnecting client does: it is opened again after the last batch
// that it received, and delivers all that it missed. If that has been compacted meanwhile it ends with
// [kv.ErrCompacted], also where nothing in its range has changed.
//
// What a stream has received is what it has delivered, because it has no buffer. A batch that a Hold or a Delay keeps back
// is still on its way: the cut catches it, and after the heal it is read again. And a consumer that is busy when the cut
// comes gets nothing more before the heal, while etcd's client would give it what the client had received until then.
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

// Freeze stops the matching calls as Cut does, but leaves what streams have open at the store: it is the
// program that stands still, or a network so slow that it seems to. After [Store.Heal] a stream delivers
// what it missed whatever has been compacted, as far as the wrapped store kept it for its open watch.
func (s *Store) Freeze(match ...Match) *Rule {
	return s.add(&Rule{kind: freeze, left: -1, match: match})
}

// Heal ends every [Store.Cut] and [Store.Freeze]. Calls that hang go on to the store, streams go on with
// what they missed.
func (s *Store) Heal() { s.removeAll(cut, freeze) }

// EndStreams makes every running watch that matches end now, with err, whatever it is waiting for. What it
// had read but not delivered is lost with it. Watches begun later are not affected; for these see
// [Store.Fail].
//
// err is wrapped as by Fail. A nil err ends the streams without an error, which no store may do.
func (s *Store) EndStreams(err error, match ...Match) {
	s.interrupt(func(st *stream) {
		if matches(match).match(st.call) {
			st.end(&streamEnd{err})
		}
	})
}

// Silence makes every running watch that matches deliver nothing more, ever: neither batches nor errors. It
// ends with its context, or by [Store.EndStreams]. Gets, and watches begun later, work.
func (s *Store) Silence(match ...Match) {
	s.interrupt(func(st *stream) {
		if matches(match).match(st.call) {
			st.silent = true
			st.disconnect()
		}
	})
}
