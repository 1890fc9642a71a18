package value

import (
	"sync"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// update is one state of the key that a watcher can be told. It is immutable, and shared by all watchers.
type update[T any] struct {
	upstream.Position        // of the update itself: revision is the entry's, or the deletion's
	value             T      // the decoded value, or the default of an absent key
	err               error  // a *DecodeError
	size              int    // of the encoded value
	gap               error  // why updates may be lost between the one before and this one; nil if none are
	epoch             uint64 // how often history was replaced before it
}

// bad is why what u shows is not the newest good value; nil if it is.
func (u *update[T]) bad() error {
	if u.err == nil && u.Contents != nil {
		return u.Contents.Bad()
	}
	return u.err
}

// backlog keeps, for the EveryUpdate watchers of a Value, the updates that not all of them have read, up to
// a bound. Each watcher has a cursor into it. A watcher that has not seen everything up to revision from
// reads the store's own history until it has, and then comes back.
type backlog[T any] struct {
	most int

	mu      sync.Mutex
	readers map[*every[T]]struct{}
	first   uint64       // the cursor of updates[0]
	updates []*update[T] // in order of revision
	size    int          // of the updates' encoded values
	from    kv.Revision  // updates holds everything after this revision
	trimAt  int          // the length at which to look for what everybody has read
}

const firstTrim = 16

// join makes r a reader of what is appended from now on.
func (b *backlog[T]) join(r *every[T]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.readers == nil {
		b.readers = make(map[*every[T]]struct{})
	}
	b.readers[r] = struct{}{}
	r.cursor = b.first + uint64(len(b.updates))
}

func (b *backlog[T]) leave(r *every[T]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.readers, r)
	if len(b.readers) == 0 {
		b.dropLocked(len(b.updates))
	}
}

// recording reports whether anybody wants every update.
func (b *backlog[T]) recording() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.readers) > 0
}

// append adds what one batch brought, all at once: no watcher falls behind the backlog, to read the store's
// history, before the state is published that follows the batch.
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
		if r.cursor >= b.first { // or it reads the store's own history
			least = min(least, r.cursor)
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

// next returns the next update behind r's cursor that is after revision seen of the history epoch, and moves the
// cursor over it; nil if there is none. It does not go on to another history: r has to be told of that first, and
// nothing that follows is to be lost to it. If the backlog no longer goes back to seen, it says up to which revision
// r has to read the store's own history first.
func (b *backlog[T]) next(r *every[T], seen kv.Revision, epoch uint64) (u *update[T], readTo kv.Revision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seen < b.from {
		return nil, b.from
	}
	r.cursor = max(r.cursor, b.first)
	for u == nil && r.cursor < b.first+uint64(len(b.updates)) {
		next := b.updates[r.cursor-b.first]
		if next.epoch != epoch {
			break
		}
		if next.Revision > seen {
			u = next
		}
		r.cursor++
	}
	if len(b.readers) == 1 {
		b.trimLocked()
	}
	return u, 0
}
