package memory

import (
	"context"
	"fmt"
	"math"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// dropAtOnce is how many records Compact drops before it lets other calls run.
const dropAtOnce = 1024

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
	if s.closed {
		return kv.ErrClosed
	}
	switch s.data.Compact(int64(revision)) {
	case mvcc.ErrCompacted:
		return &kv.CompactedError{Oldest: kv.Revision(max(s.data.Compacted, 0))}
	case mvcc.ErrFuture:
		return fmt.Errorf("%w: the store is at %d", ErrFutureRevision, s.data.Revision)
	}
	return nil
}

// drop forgets up to limit compacted records, and reports whether any are left.
func (s *Store) drop(limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Drop(s.data.Compacted, limit)
}

// trim keeps the history within its bound. Holds mu.
func (s *Store) trim() {
	if s.settings.history == 0 {
		return
	}
	if oldest := s.data.Revision - s.settings.history + 1; oldest > max(s.data.Compacted, 1) {
		s.data.Compacted = oldest
		s.data.Drop(oldest, math.MaxInt)
	}
}
