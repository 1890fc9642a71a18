package suite

import (
	"bytes"
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
}

type change struct {
	rev kv.Revision
	ops []kv.Op
}

func (l *ledger) add(rev kv.Revision, ops ...kv.Op) {
	own := slices.Clone(ops)
	for i := range own {
		own[i].Value = bytes.Clone(own[i].Value)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = append(l.changes, change{rev, own})
	if l.keys == nil {
		l.keys = make(map[string]bool)
	}
	for _, op := range own {
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

// events returns all events in order of revision, and within one revision in order of key. An acknowledged deletion of a key that did not
// exist has made no event.
func (l *ledger) events() events.List {
	l.mu.Lock()
	changes := slices.Clone(l.changes)
	l.mu.Unlock()
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.rev, b.rev) })
	var all events.List
	live := make(map[string]kv.Entry)
	for _, c := range changes {
		ops := slices.Clone(c.ops)
		slices.SortFunc(ops, func(a, b kv.Op) int { return strings.Compare(a.Key, b.Key) })
		made := events.Written(live, c.rev, ops...)
		made.Apply(live)
		all = append(all, made...)
	}
	return all
}

// EventsAfter returns the events in r after the revision after.
func (l *ledger) EventsAfter(r kv.Range, after kv.Revision) []kv.Event {
	return l.events().After(after).In(r)
}

// EntriesAt returns what r held at revision rev, sorted by key.
func (l *ledger) EntriesAt(r kv.Range, rev kv.Revision) []kv.Entry {
	return events.Sorted(l.events().UpTo(rev).In(r).Entries())
}

// Forget drops the writes after rev. The store has lost them.
func (l *ledger) Forget(rev kv.Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = slices.DeleteFunc(l.changes, func(c change) bool { return c.rev > rev })
}
