package suite

import (
	"runtime"
	"runtime/metrics"
)

// Freed returns by how many bytes release makes the heap of the process smaller. Only a check that runs alone may call it, because all
// checks share the heap.
func (e *Env) Freed(release func()) int {
	before := e.Settled()
	release()
	return before - liveHeap()
}

// Settled returns how many bytes are reachable, once that number no longer changes. Events that are still arriving belong to it. What a
// server in this process drops a moment later does not.
func (e *Env) Settled() int {
	const attempts = 20 // something else in the process may allocate all the time
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

// liveHeap returns how many bytes are reachable. It measures several times, because another goroutine may allocate meanwhile, and returns
// the smallest result. What is held is in each result.
func liveHeap() int {
	const settle, measure = 2, 3 // an object with a finalizer, or in a pool, survives one collection
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
