package memory

import (
	"context"

	"github.com/watchkv/watchkv/kv"
)

// RequestProgress implements [kv.ProgressRequester]. Every watch that has delivered everything yields a bookmark at the
// store's current revision. A watch that is behind yields none. A watch that waits for a future revision yields none either;
// a watch after the current revision is such a watch, until the next write of any key.
//
// This is like etcd's periodic progress, which looks at each watch separately. When etcd's client requests progress, etcd
// answers for all watches of one gRPC stream together, and for none while one of them is behind or in the future. The client
// decides which watches share a stream. So a program that needs a bookmark from one watch cannot rely on a request to etcd.
// In this store, a watch never silences another.
//
// A busy consumer gets the bookmark when it asks for more. Of several bookmarks it gets the last.
func (s *Store) RequestProgress(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail("request progress", err)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fail("request progress", kv.ErrClosed)
	}
	var ready []*watch
	for w := range s.watches.All() {
		if w.pending == 0 && w.from <= s.data.Revision {
			w.bookmark = s.data.Revision
			ready = append(ready, w)
		}
	}
	s.mu.Unlock()
	wake(ready)
	return nil
}

// Watches returns the number of running watches: those that are being iterated over.
func (s *Store) Watches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches.Len()
}
