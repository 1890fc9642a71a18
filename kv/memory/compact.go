package memory

import (
	"context"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

const (
	// neverCompacted is where etcd's own count begins: compacting at revision 0 is possible, once.
	neverCompacted kv.Revision = -1
	// dropAtOnce is how many records Compact drops before it lets others go on.
	dropAtOnce = 1024
)

// Compact forgets the history before revision, as etcd's compaction does. What is live stays, whatever its age.
// The changes made at revision itself can still be watched, deletions included, so the earliest watch that is
// possible is one after revision-1.
//
// A running watch that has yet to deliver a change from before revision ends with a [*kv.CompactedError]; any
// other goes on undisturbed. A revision that was compacted before, or is older than one that was, is
// [kv.ErrCompacted], and one the store has not reached [ErrFutureRevision].
func (s *Store) Compact(ctx context.Context, revision kv.Revision) error {
	err := ctx.Err()
	if err == nil {
		err = s.compact(revision)
	}
	if err != nil {
		return fail(fmt.Sprintf("compact at %d", revision), err)
	}
	for s.drop(dropAtOnce) {
	}
	return nil
}

func (s *Store) compact(revision kv.Revision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return kv.ErrClosed
	case revision <= s.compacted:
		return &kv.CompactedError{Oldest: max(s.compacted, 0)}
	case revision > s.revision:
		return fmt.Errorf("%w: the store is at %d", ErrFutureRevision, s.revision)
	}
	s.compacted = revision
	return nil
}

// drop forgets up to limit records that were compacted, and reports whether any are left.
func (s *Store) drop(limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropLocked(limit)
}

func (s *Store) dropLocked(limit int) bool {
	for s.history.count > 0 && s.history.at(0).modify < s.compacted {
		if limit == 0 {
			return true
		}
		limit--
		s.history.dropOldest()
	}
	return false
}

// trim keeps the history within its bound. Holds mu.
func (s *Store) trim() {
	if s.settings.history == 0 {
		return
	}
	if oldest := s.revision - s.settings.history + 1; oldest > max(s.compacted, 1) {
		s.compacted = oldest
		s.dropLocked(s.history.count)
	}
}
