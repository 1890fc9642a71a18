package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/value"
)

// Many large values over a line of 2 MiB a second: until all were read, and then until an update of all has arrived. The line
// alone takes half a second a MiB. Watches that were given up though they worked are counted.
func BenchmarkSlowLink(b *testing.B) {
	for _, size := range []struct{ values, bytes int }{{20, 128 << 10}, {100, 512 << 10}} {
		for _, r := range []struct {
			by     string
			follow func(ctx context.Context, c *clientv3.Client, keys []string) (first, next func(), givenUp func() int)
		}{
			{"watchkv", followValues},
			{"clientv3", followByHand},
		} {
			b.Run(fmt.Sprintf("values=%d/bytes=%d/by=%s", size.values, size.bytes, r.by), func(b *testing.B) {
				ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
				defer cancel()
				cluster := etcdtest.Start(b, 1)
				past := cluster.ClientConfig()
				past.DialOptions = nil // the dialer, so that the line carries nothing but what is read
				write, err := clientv3.New(past)
				check(ctx, err)
				defer write.Close()
				keys := make([]string, size.values)
				for i := range keys {
					keys[i] = fmt.Sprint("/large/", i)
				}
				large := string(make([]byte, size.bytes))
				putAll := func() {
					for _, key := range keys {
						_, err := write.Put(ctx, key, large)
						check(ctx, err)
					}
				}
				putAll()
				cluster.Network().Throttle(2 << 20)
				first, next, givenUp := r.follow(ctx, cluster.Client(), keys)
				began := time.Now()
				first()
				read := time.Since(began)
				began = time.Now()
				putAll()
				next()
				updated := time.Since(began)
				if ctx.Err() != nil {
					b.Fatal("after four minutes not all is read")
				}
				for b.Loop() { // what is measured is not this
				}
				b.ReportMetric(float64((read + updated).Nanoseconds()), "ns/op")
				b.ReportMetric(read.Seconds(), "s-read")
				b.ReportMetric(updated.Seconds(), "s-update")
				b.ReportMetric(float64(givenUp()), "given-up")
				cancel()
			})
		}
	}
}

func followValues(ctx context.Context, c *clientv3.Client, keys []string) (first, next func(), givenUp func() int) {
	store := etcd.New(c)
	values, watchers := make([]*value.Value[[]byte], len(keys)), make([]*value.Watcher[[]byte], len(keys))
	for i, key := range keys {
		values[i] = value.New(store, key, value.Bytes)
		watchers[i] = values[i].Watch()
	}
	context.AfterFunc(ctx, func() {
		for _, w := range watchers {
			w.Close()
		}
	})
	get := func() {
		concurrently(len(keys), func(i int) {
			_, err := watchers[i].Get(ctx)
			check(ctx, err)
		})
	}
	return get, get, func() (n int) {
		for _, v := range values {
			if v.Status().LastError != nil {
				n++
			}
		}
		return n
	}
}

func followByHand(ctx context.Context, c *clientv3.Client, keys []string) (first, next func(), givenUp func() int) {
	watches := make([]clientv3.WatchChan, len(keys))
	first = func() {
		concurrently(len(keys), func(i int) {
			got, err := c.Get(ctx, keys[i])
			check(ctx, err)
			watches[i] = c.Watch(ctx, keys[i], clientv3.WithRev(got.Header.Revision+1))
		})
	}
	next = func() {
		concurrently(len(keys), func(i int) {
			resp := <-watches[i]
			check(ctx, resp.Err())
		})
	}
	return first, next, func() int { return 0 }
}

// concurrently calls f for each of n at once, and returns when all are done.
func concurrently(n int, f func(i int)) {
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { f(i) })
	}
	running.Wait()
}
