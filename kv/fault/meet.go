package fault

import (
	"context"
	"errors"
	"time"

	"github.com/watchkv/watchkv/kv"
)

const name = "kv/fault"

// meet takes a call through the delays, the hold and the failure that match it. If meet returns an error, the call returns
// that error.
func (s *Store) meet(ctx context.Context, c Call) error {
	if s.calm() {
		return nil
	}
	if ctx.Err() != nil {
		return c.ended(ctx) // uses up no rule
	}
	for _, r := range s.all(delay, c) {
		if err := s.delayed(ctx, c, r); err != nil {
			return err
		}
	}
	if r := s.claim(hold, c); r != nil {
		if err := s.held(ctx, c, r); err != nil {
			return err
		}
	}
	if r := s.claim(fail, c); r != nil {
		return c.failure(r.err)
	}
	return nil
}

// calm reports whether there is no rule at all.
func (s *Store) calm() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rules) == 0
}

func (s *Store) delayed(ctx context.Context, c Call, r *Rule) error {
	s.count(blocked)
	defer s.count(unblocked)
	timer := time.NewTimer(r.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.removed:
		return nil
	case <-ctx.Done():
		return c.ended(ctx)
	}
}

func (s *Store) held(ctx context.Context, c Call, r *Rule) error {
	s.count(blocked)
	defer s.count(unblocked)
	defer r.Remove() // also if the call gave up, so that the rule is no longer listed
	close(r.reached)
	select {
	case <-r.removed:
		return nil
	case <-ctx.Done():
		return c.ended(ctx)
	}
}

// gate waits until no cut and no freeze matches the call.
func (s *Store) gate(ctx context.Context, c Call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gateLocked(ctx, c, func() bool { return s.barred(c) })
}

// gateLocked waits while shut returns true. The caller holds mu. gateLocked releases mu while it waits, and calls shut with
// mu held.
func (s *Store) gateLocked(ctx context.Context, c Call, shut func() bool) error {
	if !shut() {
		return nil
	}
	s.countLocked(blocked)
	defer s.countLocked(unblocked)
	for shut() {
		changed := s.ruled.wait()
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			return c.ended(ctx)
		}
	}
	return nil
}

// barred reports whether a cut or a freeze matches the call. The caller holds mu.
func (s *Store) barred(c Call) bool {
	for _, r := range s.rules {
		if (r.kind == cut || r.kind == freeze) && r.matches(c) {
			return true
		}
	}
	return false
}

// ended returns the error of a call whose context is done.
func (c Call) ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if end, ok := cause.(*streamEnd); ok {
		return end
	}
	if cause == ctx.Err() {
		cause = nil
	}
	return &kv.OpError{Store: name, Op: c.String(), Reason: ctx.Err(), Cause: cause}
}

// failure returns the error of a call that fails with err.
func (c Call) failure(err error) error {
	if op := (*kv.OpError)(nil); errors.As(err, &op) {
		return err
	}
	return &kv.OpError{Store: name, Op: c.String(), Reason: err}
}
