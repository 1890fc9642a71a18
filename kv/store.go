package kv

import (
	"bytes"
	"context"
	"iter"
)

// Revision is a point in a store's history. Every change moves the store to a new, higher revision. All changes of one
// [Committer.Commit] have the same revision. An empty store may be at any revision, including zero.
type Revision int64

// Store is what a watched value needs from a backend. Its methods may be called concurrently. The package documentation says
// what each method guarantees (S1 to S6, W1 to W13).
type Store interface {
	// Get returns every entry in r, sorted by key, as they were at Snapshot.Revision. If the range has no entries, Get
	// returns a snapshot with nil Entries, not an error. The snapshot and its bytes belong to the caller.
	//
	// When ctx ends first, Get returns promptly with an error that matches ctx's.
	Get(ctx context.Context, r Range) (Snapshot, error)

	// Watch yields every change to r after the revision after, in order, until ctx is done, the caller stops iterating, or
	// the stream fails. A failure is the last pair yielded, with a zero Batch. When ctx is done, that failure matches ctx's
	// error. Every batch and its bytes belong to the caller.
	//
	// A watch may start at any revision that the store still remembers, and at a future one. There is no way to watch "from
	// now": a program watches after the Revision of the Snapshot that it has read. A negative revision is [ErrInvalidRange].
	//
	// The sequence may be iterated more than once. Each iteration is a separate watch.
	Watch(ctx context.Context, r Range, after Revision) iter.Seq2[Batch, error]
}

// Snapshot is the contents of a range at one revision.
type Snapshot struct {
	Revision Revision // the revision of the entries, and the one to watch after
	Entries  []Entry  // every entry of the range, sorted by key; nil if there is none
}

// Entry is a key with its value and its place in the store's history.
type Entry struct {
	Key            string   // any bytes, at least one
	Value          []byte   // any bytes, possibly none: nil and empty mean the same
	CreateRevision Revision // the revision that made the key, since its last deletion
	ModRevision    Revision // the revision that last put the key
	Version        int64    // the number of puts since the key was made: 1 at CreateRevision
}

// Clone returns a copy that shares no bytes with e.
func (e Entry) Clone() Entry {
	e.Value = bytes.Clone(e.Value)
	return e
}

// EventType is the kind of change that an [Event] made to its key.
type EventType uint8

// The kinds of events.
const (
	EventPut    EventType = iota // the key was made or given another value
	EventDelete                  // the key was deleted
)

// String returns "put" or "delete".
func (t EventType) String() string {
	if t == EventDelete {
		return "delete"
	}
	return "put"
}

// Event is one change of one key. A put carries the entry as the put left it. A delete carries the Key, and the revision of
// the deletion as ModRevision; its other fields are zero.
type Event struct {
	Type EventType
	Entry
}

// Clone returns a copy that shares no bytes with e.
func (e Event) Clone() Event {
	e.Entry = e.Entry.Clone()
	return e
}

// Batch is the next part of a watch: all that happened in the watched range up to Revision, after the batch before. The
// events of one revision are always in one batch.
type Batch struct {
	Revision Revision // the stream is complete up to this revision: it is one to watch after
	Events   []Event  // in order of revision; empty in a bookmark
}

// IsBookmark reports whether b carries no events: nothing in the range changed up to b.Revision.
func (b Batch) IsBookmark() bool { return len(b.Events) == 0 }
