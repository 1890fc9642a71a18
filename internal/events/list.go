package events

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

// List is events in the order of their revisions.
type List []kv.Event

// split returns how many events are at a revision or before it.
func (l List) split(rev kv.Revision) int {
	n, _ := slices.BinarySearchFunc(l, rev+1, func(e kv.Event, rev kv.Revision) int { return cmp.Compare(e.ModRevision, rev) })
	return n
}

// UpTo returns the events at a revision and before it.
func (l List) UpTo(rev kv.Revision) List { return l[:l.split(rev)] }

// After returns the events after a revision.
func (l List) After(rev kv.Revision) List { return l[l.split(rev):] }

// In returns the events of the keys in r.
func (l List) In(r kv.Range) List {
	var in List
	for _, e := range l {
		if r.Contains(e.Key) {
			in = append(in, e)
		}
	}
	return in
}

// ByKey returns the events of each key.
func (l List) ByKey() map[string]List {
	lists := make(map[string]List)
	for _, e := range l {
		lists[e.Key] = append(lists[e.Key], e)
	}
	return lists
}

// Last returns the entry after the last event, or the zero Entry if there is none. It is for lists of one key.
func (l List) Last() kv.Entry {
	if len(l) == 0 || l[len(l)-1].Type == kv.EventDelete {
		return kv.Entry{}
	}
	return l[len(l)-1].Entry
}

// Entries returns the entries that exist after the last event, by key.
func (l List) Entries() map[string]kv.Entry {
	entries := make(map[string]kv.Entry)
	l.Apply(entries)
	return entries
}

// Apply changes entries, by key, from those before the first event to those after the last.
func (l List) Apply(entries map[string]kv.Entry) {
	for _, e := range l {
		if e.Type == kv.EventPut {
			entries[e.Key] = e.Entry
		} else {
			delete(entries, e.Key)
		}
	}
}

// Sorted returns entries in the order of their keys, nil if there is none.
func Sorted(entries map[string]kv.Entry) []kv.Entry {
	var sorted []kv.Entry
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		sorted = append(sorted, entries[key])
	}
	return sorted
}

// Written returns the events that ops make if these entries exist. All are of one revision. No two ops may be of one key. A deletion of a
// key that does not exist makes no event.
func Written(entries map[string]kv.Entry, rev kv.Revision, ops ...kv.Op) List {
	var made List
	for _, op := range ops {
		was, exists := entries[op.Key]
		switch {
		case op.Type == kv.EventPut:
			e := kv.Entry{Key: op.Key, Value: op.Value, CreateRevision: rev, ModRevision: rev, Version: was.Version + 1}
			if exists {
				e.CreateRevision = was.CreateRevision
			}
			made = append(made, kv.Event{Type: kv.EventPut, Entry: e})
		case exists:
			made = append(made, kv.Event{Type: kv.EventDelete, Entry: kv.Entry{Key: op.Key, ModRevision: rev}})
		}
	}
	return made
}

// Read reads from a store the events of a range after one revision and up to another. The watch must reach the second revision by an
// event or a bookmark. No history after the first revision may be compacted. While the store is unavailable, Read tries again.
func Read(ctx context.Context, store kv.Store, r kv.Range, after, upTo kv.Revision) (List, error) {
	var l List
	for after < upTo {
		err := errors.New("the watch ended without an error")
		var b kv.Batch
		for b, err = range store.Watch(ctx, r, after) {
			if err != nil {
				break
			}
			l = append(l, List(b.Events).UpTo(upTo)...) // a write of unknown outcome may happen at any time
			if after = b.Revision; after >= upTo {
				return l, nil
			}
		}
		if ctx.Err() != nil || !errors.Is(err, kv.ErrUnavailable) {
			return nil, err
		}
	}
	return l, nil
}
