package fault

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rule is a fault that lasts until it is used up or removed. [Store.Clear] removes all rules. Its methods may be called
// concurrently.
type Rule struct {
	store *Store
	kind  kind
	match matches
	err   error         // of fail
	delay time.Duration // of delay

	// reached belongs to a hold. The call that is held closes it.
	reached chan struct{}

	// removed is closed by remove, exactly once. That releases what the rule keeps waiting.
	removed chan struct{}

	// The fields below are guarded by store.mu.
	active bool
	left   int // how often the rule still applies; for ever if below zero
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

// Remove ends the fault: what it keeps waiting goes on. It may be called more than once, also on a rule that is used up.
func (r *Rule) Remove() {
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(r)
}

// String describes the rule and its calls: fail the next 2: get on "/a" (unavailable).
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

// matches reports whether r applies to c now.
func (r *Rule) matches(c Call) bool {
	switch r.kind {
	case delay, hold, fail:
		// These apply once to each call, before the store unless the rule says Answered.
		if c.Answered != r.match.saysWhen() {
			return false
		}
	}
	return r.match.match(c)
}

// add puts r in force and returns it.
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

// remove ends r. The caller holds mu.
func (s *Store) remove(r *Rule) {
	if !r.active {
		return
	}
	r.active = false
	s.rules = slices.DeleteFunc(s.rules, func(other *Rule) bool { return other == r })
	close(r.removed)
	s.ruled.fire()
}

// removeAll ends the rules of the given kinds.
func (s *Store) removeAll(kinds ...kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Clone(s.rules) {
		if slices.Contains(kinds, r.kind) {
			s.remove(r)
		}
	}
}

// claim uses the first rule of the kind that matches c once, and returns it, or nil.
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
		if r.left == 0 && k != hold { // a hold stays listed until its call goes on
			s.remove(r)
		}
		return r
	}
	return nil
}

// all returns the rules of the kind that match c.
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

// Clear removes every rule: cuts are healed, and held or delayed calls go on. Silenced streams stay silent, because the
// Store does not know what they missed.
func (s *Store) Clear() {
	s.removeAll(delay, hold, fail, cut, freeze, drop, duplicate)
}

// String lists the rules in force, one on each line, and the silenced streams.
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
