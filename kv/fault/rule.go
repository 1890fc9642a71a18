package fault

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rule is a fault that stays until it is used up or removed. [Store.Clear] removes all of them. It may be
// used from several goroutines.
type Rule struct {
	store *Store
	kind  kind
	match matches
	err   error         // of fail
	delay time.Duration // of delay

	// reached, of a hold, is closed by the call that is held.
	reached chan struct{}

	// removed is closed by remove, exactly once, to let go what the rule keeps waiting.
	removed chan struct{}

	// Guarded by store.mu.
	active bool
	left   int // how often it still applies; below zero, for ever
}

type kind uint8

const (
	delay kind = iota
	hold
	fail
	cut
	freeze
	drop
	duplicate
)

// Remove ends the fault: what it keeps waiting goes on. It may be called more than once, and on a rule that
// is used up.
func (r *Rule) Remove() {
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(r)
}

// String says what the rule does, and to which calls: fail the next 2: get on "/a" (unavailable).
func (r *Rule) String() string {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.text()
}

// text is String. The caller holds store.mu.
func (r *Rule) text() string {
	times := fmt.Sprintf("the next %d", r.left)
	if r.left < 0 {
		times = "every time"
	}
	var what string
	switch r.kind {
	case delay:
		what = fmt.Sprintf("delay by %v", r.delay)
	case hold:
		what = "hold the next"
		if r.left == 0 {
			what = "holding"
		}
	case fail:
		return fmt.Sprintf("fail %s: %v (%v)", times, r.match, r.err)
	case cut:
		what = "cut off"
	case freeze:
		what = "freeze"
	case drop:
		what = "drop events, " + times
	case duplicate:
		what = "duplicate events, " + times
	}
	return fmt.Sprintf("%s: %v", what, r.match)
}

// matches reports whether r is about c at c's moment.
func (r *Rule) matches(c Call) bool {
	switch r.kind {
	case delay, hold, fail:
		// These happen once a call, so they have one moment: before the store, unless told otherwise.
		if c.Answered != r.match.saysWhen() {
			return false
		}
	}
	return r.match.match(c)
}

// add makes a rule of r and puts it in force.
func (s *Store) add(r *Rule) *Rule {
	r.match = slices.Clone(r.match)
	r.store = s
	r.removed = make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.left != 0 {
		r.active = true
		s.rules = append(s.rules, r)
	}
	return r
}

// remove takes r out of force. The caller holds mu.
func (s *Store) remove(r *Rule) {
	if !r.active {
		return
	}
	r.active = false
	s.rules = slices.DeleteFunc(s.rules, func(other *Rule) bool { return other == r })
	close(r.removed)
	s.ruled.fire()
}

// removeAll takes the rules of the given kinds out of force.
func (s *Store) removeAll(kinds ...kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Clone(s.rules) {
		if slices.Contains(kinds, r.kind) {
			s.remove(r)
		}
	}
}

// claim returns the first rule of the kind that is about c, having used it once, or nil.
func (s *Store) claim(k kind, c Call) *Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if r.kind != k || r.left == 0 || !r.matches(c) {
			continue
		}
		if r.left > 0 {
			r.left--
		}
		if r.left == 0 && k != hold { // a hold stays until what it holds has gone
			s.remove(r)
		}
		return r
	}
	return nil
}

// all returns the rules of the kind that are about c.
func (s *Store) all(k kind, c Call) []*Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*Rule
	for _, r := range s.rules {
		if r.kind == k && r.matches(c) {
			found = append(found, r)
		}
	}
	return found
}

// Clear removes every rule: what is cut off is healed, what is held or delayed goes on. Streams that were
// silenced stay silent, as nothing says what they have missed.
func (s *Store) Clear() {
	s.removeAll(delay, hold, fail, cut, freeze, drop, duplicate)
}

// String lists the rules in force, one a line, and the streams that were silenced.
func (s *Store) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text strings.Builder
	text.WriteString("kv/fault:")
	for _, r := range s.rules {
		text.WriteString("\n\t" + r.text())
	}
	for e := s.streams.Front(); e != nil; e = e.Next() {
		if st := e.Value.(*stream); st.silent {
			text.WriteString("\n\tsilenced: " + st.call.String())
		}
	}
	if len(s.rules) == 0 && text.Len() == len("kv/fault:") {
		text.WriteString(" no faults")
	}
	return text.String()
}
