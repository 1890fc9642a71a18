package suite

import (
	"runtime"
	"runtime/metrics"
)

// SettledHeap returns how many bytes are reachable, once that number no longer changes. Events that are still arriving belong to it. What a
// server in this process drops a moment later does not. Only a check that runs alone may call it, because all checks share the heap. That
// is also true of [LiveHeap].
func SettledHeap() int {
	const attempts = 100 // something else in the process may allocate all the time
	before := LiveHeap()
	for range attempts {
		now := collect()
		if change := max(now-before, before-now); change <= max(16<<10, now/1000) {
			return min(now, before)
		}
		before = now
	}
	return before
}

// LiveHeap returns how many bytes are reachable. It measures several times, because another goroutine may allocate meanwhile, and returns
// the smallest result. What is held is in each result.
func LiveHeap() int {
	const settle, measure = 2, 3 // an object with a finalizer, or in a pool, survives one collection
	for range settle {
		runtime.GC()
	}
	least := collect()
	for range measure - 1 {
		least = min(least, collect())
	}
	return least
}

// collect returns how many bytes a collection has found to be reachable.
func collect() int {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}
