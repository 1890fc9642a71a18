package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/value"
)

// A reader has read a key and looks away while a hundred thousand updates of 100 bytes arrive: what the heap holds for it then,
// and how long it takes the reader to get to the newest.
func BenchmarkBurst(b *testing.B) {
	const updates = 100_000
	for _, r := range []struct {
		by    string
		begin func(ctx context.Context, c *clientv3.Client, key string) (toNewest func(last kv.Revision))
	}{
		{"watchkv", newestOfBurst},
		{"watchkv-every", everyOfBurst},
		{"clientv3", burstByHand},
		{"clientv3-late", burstFromHistory},
	} {
		b.Run(fmt.Sprintf("updates=%d/by=%s", updates, r.by), func(b *testing.B) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			cluster := etcdtest.Start(b, 1)
			read, write := cluster.Client(), cluster.Client()
			const key = "/app/limits"
			check(ctx, putTo(write)(key))
			toNewest := r.begin(ctx, read, key)

			atOnce(updates, func(int) { check(ctx, putTo(write)(key)) })
			resp, err := write.Get(ctx, key)
			check(ctx, err)
			last := kv.Revision(resp.Kvs[0].ModRevision)
			// The updates are there when another watch of the same client has them.
			arrived := <-read.Watch(ctx, key, clientv3.WithRev(int64(last)))
			check(ctx, arrived.Err())
			holding := settled()
			began := time.Now()
			toNewest(last)
			took := time.Since(began)
			cancel()
			held := holding - settled()
			for b.Loop() { // what is measured is not this
			}
			b.ReportMetric(float64(took.Nanoseconds()), "ns/op")
			b.ReportMetric(float64(held)/(1<<20), "MiB-held")
		})
	}
}

func newestOfBurst(ctx context.Context, c *clientv3.Client, key string) func(kv.Revision) {
	return readBurst(ctx, c, key)
}

func everyOfBurst(ctx context.Context, c *clientv3.Client, key string) func(kv.Revision) {
	return readBurst(ctx, c, key, value.EveryUpdate())
}

func readBurst(ctx context.Context, c *clientv3.Client, key string, opts ...value.WatchOption) func(kv.Revision) {
	w := value.New(etcd.New(c), key, value.Bytes).Watch(opts...)
	context.AfterFunc(ctx, func() { w.Close() })
	get := func() {
		_, err := w.Get(ctx)
		check(ctx, err)
	}
	get()
	return func(last kv.Revision) {
		for w.Revision() < last {
			get()
		}
	}
}

func burstByHand(ctx context.Context, c *clientv3.Client, key string) func(kv.Revision) {
	responses := c.Watch(ctx, key)
	return func(last kv.Revision) { readUntil(ctx, responses, last) }
}

// burstFromHistory is what a watch that begins after the burst takes to read it: etcd's own pace.
func burstFromHistory(ctx context.Context, c *clientv3.Client, key string) func(kv.Revision) {
	resp, err := c.Get(ctx, key)
	check(ctx, err)
	return func(last kv.Revision) {
		readUntil(ctx, c.Watch(ctx, key, clientv3.WithRev(resp.Kvs[0].ModRevision+1)), last)
	}
}

func readUntil(ctx context.Context, responses clientv3.WatchChan, last kv.Revision) {
	for resp := range responses {
		check(ctx, resp.Err())
		if n := len(resp.Events); n > 0 && kv.Revision(resp.Events[n-1].Kv.ModRevision) >= last {
			return
		}
	}
}

// settled is the heap when it has stopped to shrink.
func settled() int64 {
	least := heap()
	for {
		now := heap()
		if now >= least {
			return least
		}
		least = now
	}
}
