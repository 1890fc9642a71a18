package etcd

import (
	"errors"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// buffer holds, up to a bound, what was received before the consumer wants it. One
// goroutine adds, and one takes.
type buffer struct {
	bound int           // in bytes
	added chan struct{} // holds a token after a change that a waiting consumer should see

	mu      sync.Mutex
	batches []kv.Batch
	bytes   int
	end     error // how the watch ended; nil while it has not
}

func newBuffer(bound int) *buffer {
	return &buffer{bound: bound, added: make(chan struct{}, 1)}
}

// add appends batch, and reports whether there was room. An empty buffer always has room.
func (b *buffer) add(batch kv.Batch) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := sizeOf(batch)
	last := len(b.batches) - 1
	switch {
	case last >= 0 && batch.IsBookmark() && b.batches[last].IsBookmark():
		b.batches[last] = batch // the newer bookmark includes the older one
	case last >= 0 && b.bytes+size > b.bound:
		return false
	default:
		b.batches = append(b.batches, batch)
		b.bytes += size
	}
	b.signal()
	return true
}

// finish ends the watch. Batches that were added before can still be taken, unless their history was replaced.
func (b *buffer) finish(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(err, kv.ErrReset) {
		b.batches, b.bytes = nil, 0
	}
	b.end = err
	b.signal()
}

// reopen undoes finish.
func (b *buffer) reopen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end = nil
}

// take returns the oldest batch. If there is none, ok is false, and err is the end of the watch, or nil
// if more may come.
func (b *buffer) take() (batch kv.Batch, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.batches) == 0 {
		return kv.Batch{}, false, b.end
	}
	batch = b.batches[0]
	b.batches[0] = kv.Batch{} // the array lives on, and must not hold what was taken
	b.batches = b.batches[1:]
	b.bytes -= sizeOf(batch)
	if len(b.batches) == 0 {
		b.batches = nil
	}
	return batch, true, nil
}

func (b *buffer) signal() {
	select {
	case b.added <- struct{}{}:
	default:
	}
}

// sizeOf estimates the memory behind batch.
func sizeOf(batch kv.Batch) int {
	const perBatch, perEvent = 64, 128
	size := perBatch
	for _, e := range batch.Events {
		size += perEvent + len(e.Key) + len(e.Value)
	}
	return size
}
