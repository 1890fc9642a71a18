package value

import (
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// backlog keeps, for the EveryUpdate watchers of a Value, the updates that not all of them have read, up to a bound. Each watcher
// reads it with a cursor. A watcher that has not read everything up to the revision from must read the store's own history until it
// has, and can then read the backlog again.
type backlog[T any] struct {
	most int

	mu      sync.Mutex
	readers map[*cursor]struct{}
	first   uint64       // the cursor of updates[0]
	updates []*update[T] // in order of revision
	size    int          // of the updates' encoded values
	from    kv.Revision  // updates holds everything after this revision
	trimAt  int          // the length at which to look for what all have read
}

// cursor is the place of one watcher in a backlog. The backlog's mutex guards it.
type cursor struct{ next uint64 }

const firstTrim = 16

// join makes r a reader of what is appended from now on.
func (b *backlog[T]) join(r *cursor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.readers == nil {
		b.readers = make(map[*cursor]struct{})
	}
	b.readers[r] = struct{}{}
	r.next = b.first + uint64(len(b.updates))
}

func (b *backlog[T]) leave(r *cursor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.readers, r)
	if len(b.readers) == 0 {
		b.dropLocked(len(b.updates))
	}
}

// recording reports whether a watcher wants every update.
func (b *backlog[T]) recording() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.readers) > 0
}

// append adds what one batch brought, all at once, after the state is published that follows the batch: no watcher falls behind the
// backlog, to read the store's history, before that.
func (b *backlog[T]) append(updates ...*update[T]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.updates = append(b.updates, updates...)
	for _, u := range updates {
		b.size += u.size
	}
	if b.trimAt = max(b.trimAt, firstTrim); len(b.updates) >= b.trimAt || b.size > backlogBytes {
		b.trimLocked()
		b.trimAt = 2 * max(len(b.updates), firstTrim)
	}
	over, size := 0, b.size
	for over < len(b.updates)-1 && (len(b.updates)-over > b.most || size > backlogBytes) {
		size -= b.updates[over].size
		over++
	}
	b.dropLocked(over)
}

// clear forgets everything, up to and including revision from.
func (b *backlog[T]) clear(from kv.Revision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropLocked(len(b.updates))
	b.from = from
}

// trimLocked drops what every reader that keeps up has read. It costs one look at each reader, and so is done only when the
// backlog has doubled since the last time.
func (b *backlog[T]) trimLocked() {
	least := b.first + uint64(len(b.updates))
	for r := range b.readers {
		if r.next >= b.first { // or it reads the store's own history
			least = min(least, r.next)
		}
	}
	if least > b.first {
		b.dropLocked(int(least - b.first))
	}
}

func (b *backlog[T]) dropLocked(n int) {
	if n == 0 {
		return
	}
	for _, u := range b.updates[:n] {
		b.size -= u.size
		b.from = max(b.from, u.Revision)
	}
	clear(b.updates[:n])
	b.updates = b.updates[n:] // append moves what is left when it has to, which is seldom
	b.first += uint64(n)
	if len(b.updates) == 0 {
		b.updates = nil
	}
}

// next returns the next update at r that is after the revision seen of the history epoch, and moves r over it. It returns nil if there is
// none. It does not go on to another history: the watcher must know of that first, and must not lose what follows. If the backlog
// does not go back to seen any more, next returns the revision up to which the watcher has to read the store's own history first.
func (b *backlog[T]) next(r *cursor, seen kv.Revision, epoch uint64) (u *update[T], readTo kv.Revision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seen < b.from {
		return nil, b.from
	}
	r.next = max(r.next, b.first)
	for u == nil && r.next < b.first+uint64(len(b.updates)) {
		next := b.updates[r.next-b.first]
		if next.epoch != epoch {
			break
		}
		if next.Revision > seen {
			u = next
		}
		r.next++
	}
	if len(b.readers) == 1 {
		b.trimLocked()
	}
	return u, 0
}
