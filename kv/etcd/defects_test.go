package etcd_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// received collects what a watch yields until it ends.
type received struct {
	batches chan kv.Batch
	err     error // set before batches is closed
}

func receive(ctx context.Context, store kv.Store, after kv.Revision) *received {
	r := &received{batches: make(chan kv.Batch, 1000)}
	go func() {
		defer close(r.batches)
		for batch, err := range store.Watch(ctx, kv.Key("/a"), after) {
			if err != nil {
				r.err = err
				return
			}
			r.batches <- batch
		}
	}()
	return r
}

// defective calls f in two bubbles: with a member that has the defect, and with one that does not have it.
func defective(t *testing.T, defect etcdmem.Defect, f func(t *testing.T, cluster *etcdmem.Cluster, has bool)) {
	for _, has := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var options []etcdmem.Option
			if has {
				options = append(options, etcdmem.WithDefects(defect))
			}
			f(t, etcdmem.Start(t, 1, options...), has)
		})
	}
}

// etcd before 3.4.25 and 3.5.8 sends a bookmark before older events.
func TestABookmarkAheadOfAnEventIsDetected(t *testing.T) {
	defective(t, etcdmem.ProgressRunsAhead, func(t *testing.T, cluster *etcdmem.Cluster, has bool) {
		store := etcd.New(cluster.Client())
		for range 3 {
			must(store.Put(t.Context(), "/a", []byte("1")))(t)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		watch := receive(ctx, store, 1)
		synctest.Wait() // until the member has acknowledged the watch; it will send the history soon
		if err := kv.RequestProgress(ctx, store); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if !has {
			cancel()
		}
		seen := kv.Revision(1)
		for batch := range watch.batches {
			for _, event := range batch.Events {
				if event.Entry.ModRevision <= seen {
					t.Errorf("W7: an event of revision %d came after a batch of revision %d", event.Entry.ModRevision, seen)
				}
			}
			seen = batch.Revision
		}
		if want := map[bool]error{false: context.Canceled, true: kv.ErrReset}[has]; !errors.Is(watch.err, want) {
			t.Errorf("with the defect: %v; the watch ended with %v, want %v", has, watch.err, want)
		}
	})
}

// etcd before 3.4.38, 3.5.22 and 3.6.2, when a member catches up by a snapshot.
func TestW9AWatchOfTheFutureIsNotWokenByASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // only with the defect, because 5,000 writes take time
		cluster := etcdmem.Start(t, 3, etcdmem.WithDefects(etcdmem.SnapshotWakesFuture))
		leader := must(cluster.WaitLeader(t.Context()))(t)
		lags := (leader + 1) % 3
		const behind, after = 5001, 5100
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		watch := receive(ctx, etcd.New(cluster.Client(lags)), after)
		synctest.Wait()
		writer := etcd.New(cluster.Client(leader))
		cluster.Partition(lags)
		for range behind {
			must(writer.Put(ctx, "/a", []byte("1")))(t)
		}
		cluster.Heal()
		time.Sleep(10 * time.Second) // until the member has caught up
		var last kv.Revision
		for range 200 {
			last = must(writer.Put(ctx, "/a", []byte("2")))(t)
		}
		next := kv.Revision(after + 1)
		for next <= last {
			batch, ok := <-watch.batches
			if !ok {
				t.Fatalf("the watch ended with %v", watch.err)
			}
			for _, event := range batch.Events {
				if event.Entry.ModRevision != next {
					t.Fatalf("W9: an event of revision %d came; want %d", event.Entry.ModRevision, next)
				}
				next++
			}
		}
	})
}
