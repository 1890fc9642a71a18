package judge

import (
	"slices"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// RangeHistory is the history of a range of keys. It is never modified after it is made.
type RangeHistory struct {
	Eras    []Era
	Refused bool // reads were refused at some time, so a Get may return that error
}

// Era is the history of a range up to the moment when the store was restored to an older state, or to the end.
type Era struct {
	// Base is the revision that the store was restored to. Up to Base, the era is the same as the era before. Base is zero in the first era.
	Base kv.Revision
	// Forgotten is the revision before which the store has reported history as gone.
	Forgotten kv.Revision

	held []held // in order of revision; the first is what the range held before anything was written
}

// held is what a range held from a revision on.
type held struct {
	since   kv.Revision
	entries map[string]kv.Entry
}

// at returns what the range held at a revision.
func (e *Era) at(r kv.Revision) held { return e.held[e.index(r)] }

// last returns what the range held at the end.
func (e *Era) last() held { return e.held[len(e.held)-1] }

// index returns the index in held of what the range held at a revision.
func (e *Era) index(r kv.Revision) int {
	n, _ := slices.BinarySearchFunc(e.held, r+1, func(h held, r kv.Revision) int { return int(h.since - r) })
	return max(0, n-1)
}

// between reports whether the range changed after one revision and before another, and when it first did.
func (e *Era) between(after, before kv.Revision) (first kv.Revision, ok bool) {
	if i := e.index(after) + 1; i < len(e.held) && e.held[i].since < before {
		return e.held[i].since, true
	}
	return 0, false
}

// final returns what the range holds at the end.
func (h *RangeHistory) final() held { return h.Eras[len(h.Eras)-1].last() }

// has reports whether a put at a revision ever gave a key this value.
func (h *RangeHistory) has(key string, at kv.Revision, text string) bool {
	return slices.ContainsFunc(h.Eras, func(e Era) bool {
		entry, ok := e.at(at).entries[key]
		return ok && entry.ModRevision == at && string(entry.Value) == text
	})
}

// sameEntries reports whether two ranges hold the same entries.
func sameEntries(a, b map[string]kv.Entry) bool {
	if len(a) != len(b) {
		return false
	}
	for key, x := range a {
		y, ok := b[key]
		if !ok || x.ModRevision != y.ModRevision || x.CreateRevision != y.CreateRevision || x.Version != y.Version || string(x.Value) != string(y.Value) {
			return false
		}
	}
	return true
}

// textsOf returns the values of entries by their keys.
func textsOf(entries map[string]kv.Entry) map[string]string {
	texts := make(map[string]string, len(entries))
	for key, e := range entries {
		texts[key[strings.LastIndexByte(key, '/')+1:]] = string(e.Value)
	}
	return texts
}
