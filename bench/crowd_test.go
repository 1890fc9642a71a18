package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// A system is one way to keep values and to follow them.
type system struct {
	by  string
	put func(key string) error
	// follow has n goroutines follow key, which does not exist yet, and call got with each value they get of it.
	// They end with ctx.
	follow func(ctx context.Context, running *sync.WaitGroup, key string, n int, got func())
}

// crowd is n followers of one key. A round is over when each has got the value that was put, so that none has to
// skip one.
type crowd struct {
	key     string
	n       int
	put     func() error
	missing atomic.Int64
	all     chan struct{} // has room for the one token of a round
}

// gather begins n followers and returns when all of them are following it. They end with the benchmark.
func gather(b *testing.B, s system, n int) *crowd {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	b.Cleanup(func() {
		cancel()
		running.Wait()
	})
	key := fmt.Sprintf("/%s/%s", b.Name(), s.by)
	c := &crowd{key: key, n: n, put: func() error { return s.put(key) }, all: make(chan struct{}, 1)}
	s.follow(ctx, &running, key, n, func() {
		if c.missing.Add(-1) == 0 {
			c.all <- struct{}{}
		}
	})
	for range 3 { // what comes before a watch has begun takes longer, and is not what is measured
		c.round()
	}
	return c
}

// round puts a value and waits until all have it.
func (c *crowd) round() {
	c.missing.Store(int64(c.n))
	check(context.Background(), c.put())
	<-c.all
}

// atOnce calls do for each of 0 to n-1, some at a time.
func atOnce(n int, do func(i int)) {
	const workers = 32
	var next atomic.Int64
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	running.Wait()
}
