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

// A Put must cost the same however many watches there are on other keys. They are there in both cases, so that the
// garbage collector has the same to do, but in one of them they watch another store.
func BenchmarkPutWithWatchesOnOtherKeys(b *testing.B) {
	elsewhere := map[string]func(i int) kv.Range{
		"keys":      func(i int) kv.Range { return kv.Key(fmt.Sprintf("/other/%d", i)) },
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

// The time from a put until all watches of its key have got it.
func BenchmarkWake(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("%d watches of the key", n), func(b *testing.B) {
			leaktest.Check(b)
			s := memory.New(memory.WithHistory(10_000))
			ctx, cancel := context.WithCancel(b.Context())
			var running, got sync.WaitGroup
			for range n {
				running.Go(func() {
					for _, err := range s.Watch(ctx, kv.Key("/a"), 0) {
						if err == nil {
							got.Done()
						}
					}
				})
			}
			for s.Watches() < n {
				runtime.Gosched()
			}
			for b.Loop() {
				got.Add(n)
				if _, err := s.Put(ctx, "/a", nil); err != nil {
					b.Fatal(err)
				}
				got.Wait()
			}
			cancel()
			running.Wait()
		})
	}
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("%d closing one channel", n), func(b *testing.B) {
			leaktest.Check(b)
			ctx, cancel := context.WithCancel(b.Context())
			var running, got sync.WaitGroup
			var mu sync.RWMutex
			ch := make(chan struct{})
			var listening sync.WaitGroup
			listening.Add(n)
			for range n {
				running.Go(func() {
					mu.RLock()
					c := ch
					mu.RUnlock()
					listening.Done()
					for {
						select {
						case <-c:
							mu.RLock()
							c = ch
							mu.RUnlock()
							got.Done()
						case <-ctx.Done():
							return
						}
					}
				})
			}
			listening.Wait()
			for b.Loop() {
				got.Add(n)
				mu.Lock()
				old := ch
				ch = make(chan struct{})
				mu.Unlock()
				close(old)
				got.Wait()
			}
			cancel()
			running.Wait()
		})
	}
}

func BenchmarkPutAmongAMillionKeys(b *testing.B) {
	leaktest.Check(b)
	const n = 1_000_000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("/app/%08d", i*7919%n)
	}
	value := make([]byte, 32)
	before := heap()
	s := memory.New()
	for _, key := range keys {
		if _, err := s.Put(b.Context(), key, value); err != nil {
			b.Fatal(err)
		}
	}
	perKey := float64(heap()-before) / n
	for i := 0; b.Loop(); i++ {
		if _, err := s.Put(b.Context(), keys[i*31%n], value); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(perKey, "B/key")
	runtime.KeepAlive(keys)
}

func BenchmarkPutBesideLargeGet(b *testing.B) {
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

func BenchmarkGetKey(b *testing.B) {
	leaktest.Check(b)
	s := memory.New()
	for i := range 10_000 {
		if _, err := s.Put(b.Context(), fmt.Sprint(i), make([]byte, 100)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), kv.Key("5000")); err != nil {
			b.Fatal(err)
		}
	}
}

// Reports the heap a watch that waits takes: its own, and what its goroutine has there beside its stack.
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

// watchMany starts n watches and returns how to stop them.
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
