package memory

import (
	"context"

	"github.com/watchkv/watchkv/kv"
)

// RequestProgress makes every watch that has nothing left to deliver yield a bookmark at the store's current
// revision, as etcd does when its client asks for progress. As with etcd a watch is passed over while it is
// behind, and while it waits for a future revision, which is also that of a reader who watches after the current
// one: it is told nothing until the next write, anywhere.
//
// A consumer that is busy gets the bookmark when it asks for more; of several it gets the last.
func (s *Store) RequestProgress(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail("request progress", err)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fail("request progress", kv.ErrClosed)
	}
	var told []*watch
	for w := range s.watches.all() {
		if w.pending == 0 && w.from <= s.revision {
			w.bookmark = s.revision
			told = append(told, w)
		}
	}
	s.mu.Unlock()
	wake(told)
	return nil
}

// Watches returns how many watches are running: those that are being iterated over.
func (s *Store) Watches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches.size
}
