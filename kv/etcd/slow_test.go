package etcd_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// heap returns the bytes that are in use after garbage collection.
func heap() int {
	var m runtime.MemStats
	for range 3 { // finalizers and pools need more than one collection
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// commits writes n commits of the same four keys of 1 KiB each, and returns the revision of the last.
func commits(t *testing.T, store *etcd.Store, n int) kv.Revision {
	t.Helper()
	ctx := within(t, 2*patience)
	value := make([]byte, 1<<10)
	var last kv.Revision
	var mu sync.Mutex
	var group sync.WaitGroup
	const writers = 32
	for range writers {
		group.Go(func() {
			for range n / writers {
				rev, err := store.Commit(ctx, kv.PutOp("/k/a", value), kv.PutOp("/k/b", value),
					kv.PutOp("/k/c", value), kv.PutOp("/k/d", value))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				last = max(last, rev)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return last
}

func TestMemoryForABlockedReaderIsBounded(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, 3*patience)
		const (
			buffer = 1 << 20
			// The buffer, one response of up to a thousand of these revisions, and the other memory of etcd.
			bound = buffer + 5<<20 + 8<<20
		)
		const count = 6_400 // 25 MiB
		client := cluster.Client()
		store := etcd.New(client, etcd.WithBuffer(buffer))
		first := must(store.Put(ctx, "/k/z", nil))(t)
		r := read(t, store.Watch(ctx, kv.Prefix("/k/"), first-1))
		r.batch() // the watch is running; from now on its reader is stuck
		other := read(t, store.Watch(ctx, kv.Key("/k/z"), first))

		last := commits(t, store, count)
		// Others are not delayed.
		rev := must(store.Put(ctx, "/k/z", nil))(t)
		other.nextIs(rev)
		other.stop()
		stuck := heap()

		seen, at := 0, first // the number of events, and the revision of the last event
		for at < last {
			b := r.batch()
			perRevision := 0
			for i, e := range b.Events {
				if e.Key == "/k/z" {
					continue
				}
				seen++
				if perRevision++; e.ModRevision != at {
					if e.ModRevision != at+1 || perRevision != 1 {
						t.Fatalf("revision %d came after revision %d, which had %d events", e.ModRevision, at, perRevision-1)
					}
					at = e.ModRevision
				}
				if last := i == len(b.Events)-1 || b.Events[i+1].ModRevision != at; last {
					if perRevision != 4 {
						t.Fatalf("revision %d came with %d of its 4 events", at, perRevision)
					}
					perRevision = 0
				}
			}
		}
		r.stop()
		if seen != 4*count {
			t.Errorf("%d events came, want %d", seen, 4*count)
		}
		held := stuck - heap()
		t.Logf("for a reader that took none of %d updates of 1 KiB, %.1f MiB were held", 4*count, float64(held)/(1<<20))
		if held > bound {
			t.Errorf("that is more than %.1f MiB", float64(bound)/(1<<20))
		}
	})
}

func TestABlockedReaderLeavesItsStreamAndResumesLater(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client(), etcd.WithBuffer(64<<10))
		first := must(store.Put(ctx, "/k/a", nil))(t)
		r := read(t, store.Watch(ctx, kv.Prefix("/k/"), first-1))
		r.batch()
		last := commits(t, store, 64)
		if err := cluster.WaitWatchers(ctx, 0, 0); err != nil {
			t.Fatalf("the watch of a stuck reader is still open: %v", err)
		}
		for at := first; at < last; at = r.batch().Revision {
		}
		// The same watch is live again.
		rev := must(store.Put(ctx, "/k/a", nil))(t)
		r.nextIs(rev)
	})
}

func TestABlockedReaderGetsTheBufferedBatchesBeforeTheCompaction(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client(), etcd.WithBuffer(64<<10))
		first := must(store.Put(ctx, "/k/a", nil))(t)
		r := read(t, store.Watch(ctx, kv.Prefix("/k/"), first-1))
		r.batch()
		last := commits(t, store, 64)
		if err := cluster.WaitWatchers(ctx, 0, 0); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Compact(ctx, int64(last)); err != nil {
			t.Fatal(err)
		}
		held := r.endCompacted(last)
		if len(held) == 0 || held[len(held)-1].Revision >= last-1 {
			t.Errorf("the test itself: the buffer must hold some batches, but not the last one; it held %d batches: %v", len(held), held)
		}
		// A new watch from the oldest revision works.
		again := read(t, store.Watch(ctx, kv.Prefix("/k/"), last-1))
		if b := again.batch(); b.Revision != last || len(b.Events) != 4 {
			t.Errorf("got %d events up to %d, want 4 up to %d", len(b.Events), b.Revision, last)
		}
	})
}

// etcd's fragments let a large catch-up pass a client with a small limit for messages. No revision may be split by that.
func TestARevisionInManyMessagesIsOneBatch(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		config := cluster.ClientConfig()
		config.MaxCallSendMsgSize = 2 << 20
		config.MaxCallRecvMsgSize = 2 << 20
		client := must(clientv3.New(config))(t)
		defer client.Close()
		store := etcd.New(client)
		before := must(store.Put(ctx, "/a", nil))(t)
		live := read(t, store.Watch(ctx, kv.Prefix("/k/"), before))
		const size = 45 // events of a revision, near the limit of a request
		var last kv.Revision
		for range 5 {
			var ops []kv.Op
			for i := range size {
				ops = append(ops, kv.PutOp(fmt.Sprintf("/k/%02d", i), make([]byte, 30<<10)))
			}
			last = must(store.Commit(ctx, ops...))(t)
		}
		late := read(t, store.Watch(ctx, kv.Prefix("/k/"), before))
		for name, r := range map[string]*reader{"live": live, "late": late} {
			count := make(map[kv.Revision]int)
			for at := before; at < last; {
				b := r.batch()
				at = b.Revision
				for _, e := range b.Events {
					count[e.ModRevision]++
				}
				for rev, n := range count {
					if n != size {
						t.Errorf("%s: revision %d came with %d of its %d events", name, rev, n, size)
					}
				}
			}
			if len(count) != 5 {
				t.Errorf("%s: %d revisions came, want 5", name, len(count))
			}
		}
	})
}

// A message that is larger than the client accepts ends the gRPC stream of all watches, and does not say for which of them it was.
func TestAMessageThatIsTooLargeEndsOnlyTheWatchThatItIsFor(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		config := cluster.ClientConfig()
		config.MaxCallSendMsgSize, config.MaxCallRecvMsgSize = 10<<10, 10<<10
		client := must(clientv3.New(config))(t)
		defer client.Close()
		store := etcd.New(client)
		rev := must(store.Put(ctx, "small", nil))(t)
		small := read(t, store.Watch(ctx, kv.Key("small"), rev-1))
		small.nextIs(rev)
		other := cluster.Client()
		for range 3 {
			resp := must(other.Put(ctx, "large", strings.Repeat("x", 20<<10)))(t)
			rev = kv.Revision(resp.Header.Revision)
			read(t, store.Watch(ctx, kv.Key("large"), rev-1)).end(kv.ErrTooLarge)
			for range 2 {
				rev = must(store.Put(ctx, "small", nil))(t)
				small.nextIs(rev)
			}
		}
	})
}
