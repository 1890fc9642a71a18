package memory

import (
	"context"
	"sync"

	"github.com/tidwall/btree"

	"github.com/watchkv/watchkv/kv"
)

var (
	_ kv.Stater            = (*Store)(nil)
	_ kv.Acknowledger      = (*Store)(nil)
	_ kv.ProgressRequester = (*Store)(nil)
	_ kv.Writer            = (*Store)(nil)
	_ kv.Committer         = (*Store)(nil)
)

// Store is a [kv.Store], [kv.Writer] and [kv.Committer] in memory. It also has the optional interfaces [kv.Stater],
// [kv.Acknowledger] and [kv.ProgressRequester]. Make one with [New]. Its methods may be called concurrently.
type Store struct {
	settings settings

	mu        sync.Mutex // never held while waiting, nor while a consumer runs
	closed    bool
	revision  kv.Revision
	compacted kv.Revision // this is the oldest revision whose changes can be watched
	lost      kv.Revision // the newest revision of any history that a restore replaced
	live      *btree.Map[string, *record]
	history   history
	watches   *index
}

// record is one change of one key. It is never modified once it is in a Store. So it may be read without the Store's mutex,
// and backups may share it.
type record struct {
	key            string
	value          string
	create, modify kv.Revision
	version        int64 // zero for a deletion
}

// New returns an empty store at revision 1, as a new etcd cluster is.
func New(opts ...Option) *Store {
	s := &Store{
		settings:  defaults(),
		revision:  1,
		compacted: neverCompacted,
		live:      new(btree.Map[string, *record]),
		history:   newHistory(),
		watches:   newIndex(),
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&s.settings)
		}
	}
	return s
}

// Close ends every running watch with [kv.ErrClosed]. Every later call fails with [kv.ErrClosed]. Close may be called again.
// It always returns nil.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	ended := s.endWatches(kv.ErrClosed)
	s.mu.Unlock()
	wake(ended)
	return nil
}

const (
	// getAtOnce is how many entries Get collects before it copies the tree and lets writers run.
	getAtOnce = 128
	// getUnasked is how many entries Get collects between two checks of its context.
	getUnasked = 4096
)

// Get returns the entries of r at the store's current revision.
func (s *Store) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	var room [1]*record
	revision, records, err := s.read(ctx, r, room[:0])
	if err != nil {
		return kv.Snapshot{}, fail("get "+r.String(), err)
	}
	return snapshot(revision, records, (*record).entry), nil
}

// Stat implements [kv.Stater]. It is [Store.Get] without the values, which it does not copy.
func (s *Store) Stat(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	var room [1]*record
	revision, records, err := s.read(ctx, r, room[:0])
	if err != nil {
		return kv.Snapshot{}, fail("stat "+r.String(), err)
	}
	return snapshot(revision, records, (*record).stat), nil
}

// read appends to records the live records of r at the store's current revision.
func (s *Store) read(ctx context.Context, r kv.Range, records []*record) (kv.Revision, []*record, error) {
	if err := r.Validate(); err != nil {
		return 0, nil, err
	}
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	if err := s.tooLong(r); err != nil {
		return 0, nil, s.unlessClosed(err)
	}

	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return 0, nil, kv.ErrClosed
	}
	revision := s.revision
	if key, ok := r.Key(); ok {
		if rec, ok := s.live.Get(key); ok {
			records = append(records, rec)
		}
		s.mu.Unlock()
		return revision, records, nil
	}
	from, _, _ := r.Bounds()
	records, more := collect(s.live, r, from, records, getAtOnce)
	var rest *btree.Map[string, *record]
	if more != "" {
		rest = s.live.Copy()
	}
	s.mu.Unlock()

	for more != "" {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		records, more = collect(rest, r, more, records, getUnasked)
	}
	return revision, records, nil
}

// collect appends up to limit records of r to records, starting at the key from. It returns the key to continue from, or ""
// if none is left.
func collect(tree *btree.Map[string, *record], r kv.Range, from string, records []*record, limit int) (_ []*record, more string) {
	tree.Ascend(from, func(key string, rec *record) bool {
		switch {
		case !r.Contains(key):
			return false
		case limit == 0:
			more = key
			return false
		}
		limit--
		records = append(records, rec)
		return true
	})
	return records, more
}

// snapshot returns a snapshot with the entries that show makes of records.
func snapshot(revision kv.Revision, records []*record, show func(*record) kv.Entry) kv.Snapshot {
	snapshot := kv.Snapshot{Revision: revision}
	if len(records) > 0 {
		snapshot.Entries = make([]kv.Entry, len(records))
	}
	for i, rec := range records {
		snapshot.Entries[i] = show(rec)
	}
	return snapshot
}

// entry returns a copy of the entry that a put left.
func (r *record) entry() kv.Entry {
	entry := r.stat()
	entry.Value = r.bytes()
	return entry
}

// stat returns the entry that a put left, without its value.
func (r *record) stat() kv.Entry {
	return kv.Entry{Key: r.key, CreateRevision: r.create, ModRevision: r.modify, Version: r.version}
}

// event returns a copy of the event that watches deliver.
func (r *record) event() kv.Event {
	if r.version == 0 {
		return kv.Event{Type: kv.EventDelete, Entry: kv.Entry{Key: r.key, ModRevision: r.modify}}
	}
	return kv.Event{Type: kv.EventPut, Entry: r.entry()}
}

// bytes returns a copy of the value, or nil if it is empty. A value from etcd looks the same after it came over the wire.
func (r *record) bytes() []byte {
	if r.value == "" {
		return nil
	}
	return []byte(r.value)
}

// Itself returns s. Package kv uses it to tell s from a type that embeds it: see [kv.As].
func (s *Store) Itself() kv.Store { return s }
