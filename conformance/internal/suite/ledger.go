package suite

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
)

// ledger has every acknowledged write. From these it computes what a store must answer: the entries of a range at any revision, and the
// events after it.
type ledger struct {
	mu      sync.Mutex
	changes []change
	keys    map[string]bool

	// What was computed from the first changes, so that a check which asks after each write does not compute all of it again. The changes
	// are in order of revision up to there.

	computed int
	made     events.List         // the events that these changes have made
	live     map[string]kv.Entry // the entries after these changes
}

type change struct {
	rev kv.Revision
	ops []kv.Op
}

// add enters a write. The ledger keeps ops and their values.
func (l *ledger) add(rev kv.Revision, ops ...kv.Op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = append(l.changes, change{rev, ops})
	if l.keys == nil {
		l.keys = make(map[string]bool)
	}
	for _, op := range ops {
		l.keys[op.Key] = true
	}
}

// mentions reports whether key was ever written.
func (l *ledger) mentions(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys[key]
}

// Last returns the highest revision that a write has made.
func (l *ledger) Last() kv.Revision {
	l.mu.Lock()
	defer l.mu.Unlock()
	var last kv.Revision
	for _, c := range l.changes {
		last = max(last, c.rev)
	}
	return last
}

// compute brings made and live up to all changes. The events are in order of revision, and within one revision in order of key. An
// acknowledged deletion of a key that did not exist has made no event. The caller holds mu.
func (l *ledger) compute() {
	before, rest := l.changes[:l.computed], l.changes[l.computed:]
	byRevision := func(a, b change) int { return cmp.Compare(a.rev, b.rev) }
	slices.SortStableFunc(rest, byRevision)
	if n := len(before); l.live == nil || n > 0 && len(rest) > 0 && rest[0].rev < before[n-1].rev {
		// A write was acknowledged after one of a later revision.
		slices.SortStableFunc(l.changes, byRevision)
		rest, l.made, l.live = l.changes, nil, make(map[string]kv.Entry)
	}
	for _, c := range rest {
		ops := slices.Clone(c.ops)
		slices.SortFunc(ops, func(a, b kv.Op) int { return strings.Compare(a.Key, b.Key) })
		made := events.Written(l.live, c.rev, ops...)
		made.Apply(l.live)
		l.made = append(l.made, made...)
	}
	l.computed = len(l.changes)
}

// EventsAfter returns the events in r after the revision after.
func (l *ledger) EventsAfter(r kv.Range, after kv.Revision) []kv.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.compute()
	return l.made.After(after).In(r)
}

// EntriesAt returns what r held at revision rev, sorted by key.
func (l *ledger) EntriesAt(r kv.Range, rev kv.Revision) []kv.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.compute()
	if then := l.made.UpTo(rev); len(then) < len(l.made) {
		return events.Sorted(then.In(r).Entries())
	}
	in := make(map[string]kv.Entry)
	for key, entry := range l.live {
		if r.Contains(key) {
			in[key] = entry
		}
	}
	return events.Sorted(in)
}

// Forget drops the writes after rev. The store has lost them.
func (l *ledger) Forget(rev kv.Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = slices.DeleteFunc(l.changes, func(c change) bool { return c.rev > rev })
	l.computed, l.made, l.live = 0, nil, nil
}
