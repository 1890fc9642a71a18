package fault

import (
	"context"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// Counts is what a [Store] has counted so far, and what is running in it now.
type Counts struct {
	// The number of calls that have begun, including those that failed. Invalid calls reach no store and are not counted. A
	// stream that resumes after a cut is still the same watch. A Stat counts as a Get. Progress counts calls of
	// RequestProgress.
	Gets, Watches, Puts, Deletes, Commits, Progress int

	// Batches and Events count what was delivered to the consumers of watches.
	Batches, Events int

	// Streams is the number of watches that are being iterated now, including those that hang.
	Streams int

	// Blocked is the number of calls and streams that a fault keeps waiting now. A stream whose consumer is busy is not
	// blocked. A frozen stream is not blocked until it has something to deliver.
	Blocked int
}

// String lists the counts that are not zero: gets 2, watches 1, streams 1.
func (c Counts) String() string {
	var text string
	for _, one := range []struct {
		name string
		n    int
	}{
		{"gets", c.Gets}, {"watches", c.Watches}, {"puts", c.Puts}, {"deletes", c.Deletes}, {"commits", c.Commits},
		{"progress", c.Progress}, {"batches", c.Batches}, {"events", c.Events}, {"streams", c.Streams}, {"blocked", c.Blocked},
	} {
		if one.n == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s %d", one.name, one.n)
	}
	if text == "" {
		return "nothing"
	}
	return text
}

func (c *Counts) begin(op Ops) {
	switch op {
	case Gets:
		c.Gets++
	case Watches:
		c.Watches++
	case Puts:
		c.Puts++
	case Deletes:
		c.Deletes++
	case Commits:
		c.Commits++
	case Progress:
		c.Progress++
	}
}

func blocked(c *Counts)   { c.Blocked++ }
func unblocked(c *Counts) { c.Blocked-- }

// Counts returns the current counts.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Wait returns nil as soon as until holds for the counts. It fails if ctx ends first. Wait calls until now and after
// changes. If several changes come close together, Wait may show it only the last.
func (s *Store) Wait(ctx context.Context, until func(Counts) bool) error {
	for {
		s.mu.Lock()
		counts, changed := s.counts, s.counted.wait()
		s.mu.Unlock()
		if until(counts) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &kv.OpError{Store: name, Op: "wait, at " + counts.String(), Reason: ctx.Err()}
		}
	}
}

func (s *Store) count(change func(*Counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.countLocked(change)
}

// countLocked changes the counts. The caller holds mu.
func (s *Store) countLocked(change func(*Counts)) {
	change(&s.counts)
	s.counted.fire()
}

// signal notifies all waiters that something changed. The lock of what changes guards it: a caller that checks the state and
// calls wait under that lock misses no change.
type signal struct{ ch chan struct{} }

func (g *signal) wait() <-chan struct{} {
	if g.ch == nil {
		g.ch = make(chan struct{})
	}
	return g.ch
}

func (g *signal) fire() {
	if g.ch != nil {
		close(g.ch)
		g.ch = nil
	}
}
