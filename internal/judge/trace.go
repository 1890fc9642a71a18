package judge

import (
	"hash/maphash"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

var traceSeed = maphash.MakeSeed()

// Trace takes everything that can be observed of a run from outside, in the order in which it happens: calls of the
// store begun and answered, batches delivered, Gets returned. Two runs with the same [Trace.Sum] went the same way.
// A nil Trace takes nothing.
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

// Sum stands for all that was taken, in order, within one process.
func (t *Trace) Sum() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sum
}

// Steps is how much was taken.
func (t *Trace) Steps() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.steps
}
