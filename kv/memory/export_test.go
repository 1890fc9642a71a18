package memory

import (
	"context"

	"github.com/watchkv/watchkv/kv"
)

// Concerned returns how many watches a write of key has to look at.
func (s *Store) Concerned(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, g := range s.watches.find(key, nil) {
		n += len(g.watches)
	}
	return n
}

// Registered reports whether the index still holds anything.
func (s *Store) Registered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches.left() > 0
}

// left returns how many entries of any kind the index has.
func (x *index) left() int {
	n := x.size + len(x.keys) + len(x.prefixes) + len(x.lengths)
	if x.intervals.root != nil {
		n++
	}
	return n
}

// Kept returns how many records the history holds, and how many of them by key.
func (s *Store) Kept() (records, byKey int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range s.history.byKey {
		byKey += len(list)
	}
	return s.history.count, byKey
}

// Looks returns how often a watch of r takes the store's mutex to scan the history after a revision.
func (s *Store) Looks(ctx context.Context, r kv.Range, after kv.Revision) (n int, err error) {
	w, err := s.startWatch(ctx, r, after)
	if err != nil {
		return 0, err
	}
	defer s.stopWatch(w, r)
	var found finding
	for more := true; more && err == nil; n++ {
		_, more, err = s.look(w, r, &found)
	}
	return n, err
}
