package memory_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

// These benchmarks measure only the memory store. The module in bench compares it with others.

// A Put must cost the same, with any number of watches on other prefixes and intervals. Both cases have the watches, so
// that the garbage collector has the same work. In one case they watch another store.
func BenchmarkPutWithWatchesOnOtherKeys(b *testing.B) {
	elsewhere := map[string]func(i int) kv.Range{
		"prefixes":  func(i int) kv.Range { return kv.Prefix(fmt.Sprintf("/other/%d/", i)) },
		"intervals": func(i int) kv.Range { return kv.Interval(fmt.Sprintf("/other/%d/", i), fmt.Sprintf("/other/%d0", i)) },
	}
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprintf("/app/%d", i)
	}
	value := make([]byte, 100)
	for name, r := range elsewhere {
		leaktest.Check(b)
		watched, unwatched := memory.New(memory.WithHistory(10_000)), memory.New(memory.WithHistory(10_000))
		stop := watchMany(b, watched, 100_000, r)
		for _, c := range []struct {
			name  string
			store *memory.Store
		}{{"none", unwatched}, {"100000 " + name, watched}} {
			b.Run(c.name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := c.store.Put(b.Context(), keys[i%len(keys)], value); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		stop()
	}
}

func BenchmarkPutDuringLargeGet(b *testing.B) {
	leaktest.Check(b)
	s := memory.New(memory.WithHistory(1000))
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("/app/%08d", i)
		if _, err := s.Put(b.Context(), keys[i], nil); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		for ctx.Err() == nil {
			s.Get(ctx, kv.All())
		}
	})
	for i := 0; b.Loop(); i++ {
		if _, err := s.Put(b.Context(), keys[i%len(keys)], nil); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	reading.Wait()
}

// BenchmarkIdleWatch reports the heap of a waiting watch, including what its goroutine holds there, without the stack.
func BenchmarkIdleWatch(b *testing.B) {
	leaktest.Check(b)
	const n = 100_000
	s := memory.New()
	ranges := make([]kv.Range, n)
	for i := range ranges {
		ranges[i] = kv.Key(fmt.Sprintf("/other/%d", i))
	}
	before := heap()
	stop := watchMany(b, s, n, func(i int) kv.Range { return ranges[i] })
	used := heap() - before
	for b.Loop() {
	}
	b.ReportMetric(float64(used)/n, "B/watch")
	stop()
	runtime.KeepAlive(ranges)
}

// watchMany starts n watches and returns a function that stops them.
func watchMany(b *testing.B, s *memory.Store, n int, r func(i int) kv.Range) (stop func()) {
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			for range s.Watch(ctx, r(i), 1<<40) {
			}
		})
	}
	for s.Watches() < n {
		runtime.Gosched()
	}
	return func() {
		cancel()
		running.Wait()
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
