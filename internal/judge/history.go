package judge

import (
	"fmt"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

// State is what a key is.
type State uint8

// What a key can be.
const (
	Absent State = iota
	Good         // it has a value that can be decoded
	Bad          // it has one that cannot
)

// Update is one change of the key. The zero Update is the absence of a key that never was.
type Update struct {
	Revision kv.Revision
	State    State
	Value    string // as it was written; "" for a deletion
}

func (u Update) String() string {
	switch u.State {
	case Absent:
		return fmt.Sprintf("absent since %d", u.Revision)
	case Bad:
		return fmt.Sprintf("the bad %q of %d", u.Value, u.Revision)
	}
	return fmt.Sprintf("%q of %d", u.Value, u.Revision)
}

// History is all that a key has been. It is never modified once it is made.
type History struct {
	Epochs  []Epoch
	Refused bool // reads of the key were refused at some time, so that a Get may say so
}

// Epoch is the history of a key up to the moment when the store was restored to an older state, or to the end.
type Epoch struct {
	// Base is the revision that the store was restored to: up to there the epoch is the one before it. Of the first it
	// is zero.
	Base kv.Revision
	// Updates are in order of revision.
	Updates []Update
	// Forgotten is the revision before which the store said that history is gone. A watch that has seen
	// everything up to Forgotten-1 cannot have lost anything.
	Forgotten kv.Revision
	// Dropped says that streams were made to lose events.
	Dropped bool
}

// index returns the place of the first update after a revision.
func (e *Epoch) index(after kv.Revision) int {
	i, _ := slices.BinarySearchFunc(e.Updates, after+1, func(u Update, r kv.Revision) int { return int(u.Revision - r) })
	return i
}

// at returns the update that made the key what it was at a revision.
func (e *Epoch) at(r kv.Revision) Update {
	if i := e.index(r); i > 0 {
		return e.Updates[i-1]
	}
	return Update{}
}

// last returns the update that made the key what it is at the end.
func (e *Epoch) last() Update {
	if len(e.Updates) == 0 {
		return Update{}
	}
	return e.Updates[len(e.Updates)-1]
}

// presentBetween reports whether the key existed at any time after one revision and up to another.
func (e *Epoch) presentBetween(after, upTo kv.Revision) bool {
	if e.at(after).State != Absent {
		return true
	}
	return slices.ContainsFunc(e.Updates[e.index(after):e.index(max(after, upTo))], func(u Update) bool { return u.State != Absent })
}

// shared returns the revision up to which two epochs are the same.
func (h *History) shared(from, to int) kv.Revision {
	base := h.Epochs[to].Base
	for _, e := range h.Epochs[from+1 : to+1] {
		base = min(base, e.Base)
	}
	return base
}

// final returns what the key is at the end.
func (h *History) final() Update { return h.Epochs[len(h.Epochs)-1].last() }
