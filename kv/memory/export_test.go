package memory

import (
	"context"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// Concerned returns how many watches a write of key has to check.
func (s *Store) Concerned(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, g := range s.watches.Find(key, nil) {
		n += len(g.Watches)
	}
	return n
}

// Registered reports whether the index still holds anything.
func (s *Store) Registered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches.Left() > 0
}

// Kept returns how many records the history holds, and how many of them it also holds by key.
func (s *Store) Kept() (records, byKey int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Kept()
}

// Looks returns how many times a watch of r locks the store's mutex to scan the history after a revision.
func (s *Store) Looks(ctx context.Context, r kv.Range, after kv.Revision) (n int, err error) {
	w, err := s.startWatch(ctx, r, after)
	if err != nil {
		return 0, err
	}
	defer s.stopWatch(w, keysOf(r))
	found := mvcc.Changes{MaxBytes: batchBytes}
	for more := true; more && err == nil; n++ {
		_, more, err = s.look(w, keysOf(r), &found)
	}
	return n, err
}
