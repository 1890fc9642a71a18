package memory

import (
	"context"

	"github.com/watchkv/watchkv/kv"
)

// RequestProgress implements [kv.ProgressRequester]: every watch that has nothing left to deliver yields a bookmark at
// the store's current revision. A watch is passed over while it is behind, and while it waits for a future
// revision, which is also that of a reader who watches after the current one: it yields none until the next
// write, anywhere.
//
// Of the two ways in which etcd tells progress this is the periodic one, which looks at each watch by itself. etcd
// answers a request by its client for all watches of one gRPC stream together, and for none of them while one is behind
// or in the future. Which watches share a stream is up to the client, so a program that needs a bookmark from one watch
// cannot count on it there; here a watch never silences another.
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
	var ready []*watch
	for w := range s.watches.all() {
		if w.pending == 0 && w.from <= s.revision {
			w.bookmark = s.revision
			ready = append(ready, w)
		}
	}
	s.mu.Unlock()
	wake(ready)
	return nil
}

// Watches returns how many watches are running: those that are being iterated over.
func (s *Store) Watches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches.size
}
