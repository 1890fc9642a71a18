package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// The heap and the goroutines that each of many watchers of one key takes while it waits. What "channel" takes is the
// goroutine that waits, and what that needs to wait for two channels; it is the same for all.
func BenchmarkIdleWatcher(b *testing.B) {
	const n = 10_000
	cluster := etcdtest.Start(b, 1)
	watch, write := cluster.Client(), cluster.Client()
	for _, s := range []system{onMemory(), channel(), following(newStateDB()), following(newMemDB()), byHand(watch, write)} {
		b.Run(fmt.Sprintf("watchers=%d/by=%s", n, s.by), func(b *testing.B) {
			idle(b, n, func() { gather(b, s, n) })
		})
	}
}

// The same for a Value with one watcher, of many.
func BenchmarkIdleValue(b *testing.B) {
	const n = 10_000
	keys := numbered("/app/", n)
	store := memory.New()
	for _, key := range keys {
		_, err := store.Put(b.Context(), key, payload)
		check(b.Context(), err)
	}
	b.Run(fmt.Sprintf("values=%d/by=watchkv", n), func(b *testing.B) {
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		b.Cleanup(func() {
			cancel()
			running.Wait()
		})
		idle(b, n, func() {
			var delivered sync.WaitGroup
			delivered.Add(n)
			for _, key := range keys {
				watchers(store, nil)(ctx, &running, key, 1, delivered.Done)
			}
			delivered.Wait()
		})
	})
}

// idle reports what begin takes of the heap and of goroutines, for each of n.
func idle(b *testing.B, n int, begin func()) {
	spare(4 * n)
	before, goroutines := heap(), runtime.NumGoroutine()
	begin()
	used, begun := heap()-before, runtime.NumGoroutine()-goroutines
	for b.Loop() { // what is measured is not time
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(used)/float64(n), "B/each")
	b.ReportMetric(float64(begun)/float64(n), "goroutines/each")
}

// spare has the runtime keep n goroutines that have ended, as it does, so that none of those that begin next is a new one,
// which would count in the heap.
func spare(n int) {
	var running sync.WaitGroup
	end := make(chan struct{})
	for range n {
		running.Go(func() { <-end })
	}
	close(end)
	running.Wait()
}

// A minute in which nothing happens, once all that has to be read was: what each Value asks of its store, and what it
// takes of a processor. The work of etcd cannot be separated from that of its clients. So the processor time is
// measured only with a store in memory.
func BenchmarkIdleMinute(b *testing.B) {
	b.Run("store=memory/by=watchkv", func(b *testing.B) {
		const n = 1000
		store := &counting{Store: memory.New()}
		idleMinute(b, store, n, &store.requests)
	})
	b.Run("store=etcd/by=watchkv", func(b *testing.B) {
		var requests atomic.Int64
		config := etcdtest.Start(b, 1).ClientConfig()
		config.DialOptions = append(config.DialOptions, grpc.WithUnaryInterceptor(func(
			ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			requests.Add(1)
			return invoke(ctx, method, req, reply, conn, opts...)
		}))
		client, err := clientv3.New(config)
		check(b.Context(), err)
		defer client.Close()
		idleMinute(b, etcd.New(client), 100, &requests)
	})
}

func idleMinute(b *testing.B, store kv.Store, n int, requests *atomic.Int64) {
	ctx, cancel := context.WithCancel(context.Background())
	var running, delivered sync.WaitGroup
	defer running.Wait()
	defer cancel()
	delivered.Add(n)
	for _, key := range numbered("/app/", n) {
		follow := watchers(store, []value.Option{value.WithDefault([]byte(nil))})
		follow(ctx, &running, key, 1, delivered.Done)
	}
	delivered.Wait()
	time.Sleep(time.Second) // for what goes on after the first reads
	requests.Store(0)
	before := cpu()
	time.Sleep(time.Minute)
	used := cpu() - before
	for b.Loop() { // what is measured is not this
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(requests.Load())/float64(n), "requests/value")
	b.ReportMetric(float64(used.Microseconds())/float64(n), "cpu-µs/value")
}

// counting counts the reads of a store.
type counting struct {
	kv.Store
	requests atomic.Int64
}

func (c *counting) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	c.requests.Add(1)
	return c.Store.Get(ctx, r)
}

// cpu is what the process has taken of the processors.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
