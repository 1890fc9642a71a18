package judge

import (
	"fmt"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

// State says whether a key exists, and whether its value decodes.
type State uint8

// The states of a key.
const (
	Absent State = iota
	Good         // its value decodes
	Bad          // its value does not decode
)

// Update is one change of the key. The zero Update stands for a key that never existed.
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

// History is the history of a key. It is never modified after it is made.
type History struct {
	Epochs  []Epoch
	Refused bool // reads of the key were refused at some time, so a Get may return that error
}

// Epoch is the history of a key up to the moment when the store was restored to an older state, or to the end.
type Epoch struct {
	// Base is the revision that the store was restored to. Up to Base, the epoch is the same as the epoch before. Base is zero in
	// the first epoch.
	Base kv.Revision
	// Updates are in order of revision.
	Updates []Update
	// Forgotten is the revision before which the store has reported history as gone. A watch that has delivered everything up to
	// Forgotten-1 has lost nothing.
	Forgotten kv.Revision
	// Dropped is set if streams have lost events.
	Dropped bool
}

// index returns the place of the first update after a revision.
func (e *Epoch) index(after kv.Revision) int {
	i, _ := slices.BinarySearchFunc(e.Updates, after+1, func(u Update, r kv.Revision) int { return int(u.Revision - r) })
	return i
}

// at returns the last update of the key at a revision.
func (e *Epoch) at(r kv.Revision) Update {
	if i := e.index(r); i > 0 {
		return e.Updates[i-1]
	}
	return Update{}
}

// last returns the last update of the key.
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

// shared returns the revision up to which two epochs have the same history.
func (h *History) shared(from, to int) kv.Revision {
	base := h.Epochs[to].Base
	for _, e := range h.Epochs[from+1 : to+1] {
		base = min(base, e.Base)
	}
	return base
}

// final returns the last update of the key in the last epoch.
func (h *History) final() Update { return h.Epochs[len(h.Epochs)-1].last() }
