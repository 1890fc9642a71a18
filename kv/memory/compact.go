package memory

import (
	"context"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

const (
	// neverCompacted is the initial state, as in etcd: compacting at revision 0 is possible once.
	neverCompacted kv.Revision = -1
	// dropAtOnce is how many records Compact drops before it lets other calls run.
	dropAtOnce = 1024
)

// Compact forgets the history before revision, as etcd's compaction does. Live entries stay, however old they are. The
// changes at revision itself can still be watched, including deletions. So the earliest possible watch is one after
// revision-1.
//
// A running watch that has yet to deliver a change from before revision ends with a [*kv.CompactedError]. Other watches
// continue. A revision at or below the last compacted one is [kv.ErrCompacted]. A revision that the store has not reached is
// [ErrFutureRevision].
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

// drop forgets up to limit compacted records, and reports whether any are left.
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
