package fault

import (
	"context"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// Counts is what a [Store] has seen, and what runs in it now.
type Counts struct {
	// Calls begun, those that failed included. Invalid ones, which reach no store, are not counted. A stream
	// that goes on after a cut is the same watch still. A Stat is among the Gets. Progress is how often it was
	// requested.
	Gets, Watches, Puts, Deletes, Commits, Progress int

	// Batches and Events handed to the consumers of watches.
	Batches, Events int

	// Streams is how many watches are being iterated now, those that hang included.
	Streams int

	// Blocked is how many calls and streams a fault keeps waiting now. A stream whose consumer is busy
	// elsewhere is not among them, nor a frozen one until it has something to deliver.
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

// Counts returns the counts as they are now.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Wait returns nil as soon as until holds of the counts, or fails when ctx ends before. until is asked now and
// after changes; of several changes close together it may be shown only the last.
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

// signal tells all who wait that something changed. It is guarded by the lock of what changes: whoever looks
// and calls wait under it misses nothing.
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
