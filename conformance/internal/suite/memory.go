package suite

import (
	"runtime"
	"runtime/metrics"
)

// Freed returns by how many bytes the heap of the process shrinks when release lets go of what holds memory. Only a check that
// runs alone can ask: the heap is that of all.
func (e *Env) Freed(release func()) int {
	before := e.Settled()
	release()
	return before - liveHeap()
}

// Settled returns the bytes that are reachable, once they grow and shrink no more: what is still arriving is held too, and what a server
// in this process forgets a moment later is not held for a watch.
func (e *Env) Settled() int {
	const attempts = 20 // something in the process may never rest
	before := liveHeap()
	for range attempts {
		now := liveHeap()
		if change := max(now-before, before-now); change <= max(16<<10, now/1000) {
			return now
		}
		before = now
	}
	return before
}

// liveHeap returns how many bytes are reachable. A goroutine of the process may allocate meanwhile, so several measurements are
// made: what is held is in the least of them too.
func liveHeap() int {
	const settle, measure = 2, 3 // what has a finalizer, or lies in a pool, survives one collection
	for range settle {
		runtime.GC()
	}
	var least int
	for i := range measure {
		runtime.GC()
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		if live := int(sample[0].Value.Uint64()); i == 0 || live < least {
			least = live
		}
	}
	return least
}
