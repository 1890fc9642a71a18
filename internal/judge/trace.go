package judge

import (
	"hash/maphash"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

var traceSeed = maphash.MakeSeed()

// Trace records everything that can be observed of a run from outside, in order: calls of the store that begin and end, delivered
// batches, and returned Gets. Two runs with the same [Trace.Sum] have the same record. A nil Trace records nothing.
type Trace struct {
	mu    sync.Mutex
	steps int
	sum   uint64
}

func (t *Trace) note(who int, what What, revision kv.Revision) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps++
	t.sum = maphash.Comparable(traceSeed, [4]int64{int64(t.sum), int64(who), int64(what), int64(revision)})
}

// Sum returns a checksum of the record. Two sums can be compared only within one process.
func (t *Trace) Sum() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sum
}

// Steps returns the length of the record.
func (t *Trace) Steps() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.steps
}
