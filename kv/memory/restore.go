package memory

import (
	"sync"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// Backup is the state of a store at one moment: its entries, its revision and its history. Take one with [Store.Backup]. It
// may be restored any number of times, into any store, also concurrently.
type Backup struct {
	revision kv.Revision

	mu   sync.Mutex // a copy marks the original as shared
	data *mvcc.Store
}

// Backup takes the state of the store. This costs little, because the backup shares its contents with the store until the
// store changes them. A closed store can still be backed up.
func (s *Store) Backup() *Backup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Backup{revision: kv.Revision(s.data.Revision), data: s.data.Copy()}
}

// Revision returns the revision of the store when the backup was taken.
func (b *Backup) Revision() kv.Revision { return b.revision }

// Restore sets the store back to b, as an operator does who restores a cluster from a snapshot. The entries, the history and
// the compaction are those of b, and the revision goes back. So changes before b can be watched again, and the next write
// makes revision b.Revision()+1 a second time.
//
// Every running watch ends with [kv.ErrReset], also one that has delivered only changes that b still holds: its reader
// cannot know that without reading again. A watch that begins after the restore ends so too if the revision after which it
// begins was reached before the restore and has not been reached again. Once the store has reached that revision again, the
// watch cannot tell the new history from the old one.
//
// The store keeps its own options. A closed store stays closed.
func (s *Store) Restore(b *Backup) error {
	b.mu.Lock()
	data := b.data.Copy()
	b.mu.Unlock()
	data.Index()

	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fail("restore", kv.ErrClosed)
	}
	s.lost = max(s.lost, kv.Revision(s.data.Revision))
	s.data = data
	s.trim()
	ended := s.endWatches(kv.ErrReset)
	s.mu.Unlock()
	wake(ended)
	return nil
}
