package mvcc

import (
	"errors"
	"strings"

	"github.com/tidwall/btree"
)

// Tree is the live keys with their records.
type Tree = btree.Map[string, *Record]

// Store is the keys with their values, and the history of their changes.
type Store struct {
	// Revision is that of the last change.
	Revision int64
	// Compacted is the oldest revision whose changes can be watched, and at which keys can be read. It is -1 at first, as in
	// etcd: compacting at revision 0 is possible once.
	Compacted int64

	live    *Tree
	bytes   int // of live keys and values
	history history
	gone    *btree.Map[string, struct{}] // keys with a history that do not exist now; nil without a past
}

// New returns an empty store at revision 1, as a new etcd cluster is. With past set, keys can be read at old revisions.
func New(past bool) *Store {
	s := &Store{Revision: 1, Compacted: -1, live: new(Tree), history: newHistory(past)}
	if past {
		s.gone = new(btree.Map[string, struct{}])
	}
	return s
}

// Copy returns a store that may be changed independently of s. The two share what neither changes. If s has no past, the
// caller must call Index before the copy is changed or watched.
func (s *Store) Copy() *Store {
	c := &Store{Revision: s.Revision, Compacted: s.Compacted, live: s.live.Copy(), bytes: s.bytes, history: s.history.copy()}
	if s.gone != nil {
		c.gone = s.gone.Copy()
	}
	return c
}

// Index makes a copy ready for use. It takes time in proportion to the history, and needs no lock of the original's.
func (s *Store) Index() { s.history.indexKeys() }

// Put sets key to value at revision, which is s.Revision or the one after it. It returns the record.
func (s *Store) Put(key string, value string, lease, revision int64) *Record {
	old, exists := s.live.Get(key)
	rec := &Record{Value: value, Modify: revision, Lease: lease}
	if exists {
		rec.Key = old.Key // all records of a key share one string
		rec.Create = old.Create
		rec.Version = old.Version + 1
		s.bytes += len(value) - len(old.Value)
	} else {
		rec.Key = strings.Clone(key) // the caller's key may be a small part of something large
		rec.Create = revision
		rec.Version = 1
		s.bytes += len(key) + len(value)
		if s.gone != nil {
			s.gone.Delete(key)
		}
	}
	s.live.Set(rec.Key, rec)
	s.history.add(old, rec)
	s.Revision = revision
	return rec
}

// Delete removes key at revision, which is s.Revision or the one after it. It returns the record of the deletion, or nil if
// the key does not exist.
func (s *Store) Delete(key string, revision int64) *Record {
	old, exists := s.live.Get(key)
	if !exists {
		return nil
	}
	rec := &Record{Key: old.Key, Modify: revision}
	s.bytes -= len(old.Key) + len(old.Value)
	s.live.Delete(key)
	s.history.add(old, rec)
	if s.gone != nil {
		s.gone.Set(rec.Key, struct{}{})
	}
	s.Revision = revision
	return rec
}

// The reasons why a store refuses a revision.
var (
	ErrCompacted = errors.New("the revision is compacted")
	ErrFuture    = errors.New("the revision is in the future")
)

// Compact makes revision the oldest one. What is older is forgotten by Drop.
func (s *Store) Compact(revision int64) error {
	switch {
	case revision <= s.Compacted:
		return ErrCompacted
	case revision > s.Revision:
		return ErrFuture
	}
	s.Compacted = revision
	return nil
}

// Drop forgets up to limit records that are older than the revision before, and reports whether any are left. before is
// not after s.Compacted.
func (s *Store) Drop(before int64, limit int) bool {
	for s.history.count > 0 && s.history.at(0).Modify < before {
		if limit == 0 {
			return true
		}
		limit--
		rec := s.history.dropOldest()
		if s.gone != nil && rec.Deletion() {
			if _, remembered := s.history.byKey[rec.Key]; !remembered {
				s.gone.Delete(rec.Key)
			}
		}
	}
	return false
}

// Size returns the number of bytes of the live keys and their values.
func (s *Store) Size() int { return s.bytes }

// Kept returns how many records the history holds, and how many of them by key.
func (s *Store) Kept() (records, byKey int) {
	for _, list := range s.history.byKey {
		byKey += len(list)
	}
	return s.history.count, byKey
}
