package memory

import (
	"context"
	"sync"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

var (
	_ kv.Stater            = (*Store)(nil)
	_ kv.Summarizer        = (*Store)(nil)
	_ kv.Acknowledger      = (*Store)(nil)
	_ kv.ProgressRequester = (*Store)(nil)
	_ kv.Writer            = (*Store)(nil)
	_ kv.Committer         = (*Store)(nil)
)

// Store is a [kv.Store], [kv.Writer] and [kv.Committer] in memory. It also has the optional interfaces [kv.Stater],
// [kv.Summarizer], [kv.Acknowledger] and [kv.ProgressRequester]. Make one with [New]. Its methods may be called concurrently.
type Store struct {
	settings settings

	mu      sync.Mutex // never held while waiting, nor while a consumer runs
	closed  bool
	data    *mvcc.Store
	lost    kv.Revision // the newest revision of any history that a restore replaced
	watches *mvcc.Index[*watch]
}

// New returns an empty store at revision 1, as a new etcd cluster is.
func New(opts ...Option) *Store {
	s := &Store{
		settings: defaults(),
		data:     mvcc.New(false),
		watches:  mvcc.NewIndex[*watch](),
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
	var room [1]*mvcc.Record
	revision, records, err := s.read(ctx, r, room[:0])
	if err != nil {
		return kv.Snapshot{}, fail("get "+r.String(), err)
	}
	return snapshot(revision, records, entry), nil
}

// Stat implements [kv.Stater]. It is [Store.Get] without the values, which it does not copy.
func (s *Store) Stat(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	var room [1]*mvcc.Record
	revision, records, err := s.read(ctx, r, room[:0])
	if err != nil {
		return kv.Snapshot{}, fail("stat "+r.String(), err)
	}
	return snapshot(revision, records, stat), nil
}

// read appends to records the live records of r at the store's current revision.
func (s *Store) read(ctx context.Context, r kv.Range, records []*mvcc.Record) (kv.Revision, []*mvcc.Record, error) {
	if err := r.Validate(); err != nil {
		return 0, nil, err
	}
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	keys := keysOf(r)
	if err := s.tooLong(keys); err != nil {
		return 0, nil, s.unlessClosed(err)
	}

	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return 0, nil, kv.ErrClosed
	}
	revision := kv.Revision(s.data.Revision)
	if key, ok := keys.Key(); ok {
		if rec := s.data.Get(key); rec != nil {
			records = append(records, rec)
		}
		s.mu.Unlock()
		return revision, records, nil
	}
	records, more := s.data.Collect(keys, keys.First(), records, getAtOnce)
	var rest *mvcc.Tree
	if more != "" {
		rest = s.data.Tree()
	}
	s.mu.Unlock()

	for more != "" {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		records, more = mvcc.Collect(rest, keys, more, records, getUnasked)
	}
	return revision, records, nil
}

// keysOf returns r, which is valid, as package mvcc has it.
func keysOf(r kv.Range) mvcc.Range {
	if key, ok := r.Key(); ok {
		return mvcc.Key(key)
	}
	if prefix, ok := r.Prefix(); ok {
		return mvcc.Prefix(prefix)
	}
	from, to, bounded := r.Bounds()
	if !bounded {
		return mvcc.Prefix("")
	}
	return mvcc.Interval(from, to)
}

// snapshot returns a snapshot with the entries that show makes of records.
func snapshot(revision kv.Revision, records []*mvcc.Record, show func(*mvcc.Record) kv.Entry) kv.Snapshot {
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
func entry(rec *mvcc.Record) kv.Entry {
	entry := stat(rec)
	entry.Value = valueOf(rec)
	return entry
}

// stat returns the entry that a put left, without its value.
func stat(rec *mvcc.Record) kv.Entry {
	return kv.Entry{
		Key:            rec.Key,
		CreateRevision: kv.Revision(rec.Create),
		ModRevision:    kv.Revision(rec.Modify),
		Version:        rec.Version,
	}
}

// event returns a copy of the event that watches deliver.
func event(rec *mvcc.Record) kv.Event {
	if rec.Deletion() {
		return kv.Event{Type: kv.EventDelete, Entry: kv.Entry{Key: rec.Key, ModRevision: kv.Revision(rec.Modify)}}
	}
	return kv.Event{Type: kv.EventPut, Entry: entry(rec)}
}

// valueOf returns a copy of the value, or nil if it is empty. A value from etcd looks the same after it came over the wire.
func valueOf(rec *mvcc.Record) []byte {
	if rec.Value == "" {
		return nil
	}
	return []byte(rec.Value)
}

// Itself returns s. Package kv uses it to tell s from a type that embeds it: see [kv.As].
func (s *Store) Itself() kv.Store { return s }
