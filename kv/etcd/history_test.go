package etcd_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestACompactedErrorNamesTheOldestRevision(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		first := must(store.Put(ctx, "k", nil))(t)
		must(store.Put(ctx, "k", nil))(t)
		deleted := must(store.Delete(ctx, "k"))(t)
		if err := cluster.Compact(ctx, int64(deleted)); err != nil {
			t.Fatal(err)
		}
		read(t, store.Watch(ctx, kv.Key("k"), first)).endCompacted(deleted)
		// The revision of the compaction itself can still be watched, even if it is a deletion.
		b := read(t, store.Watch(ctx, kv.Key("k"), deleted-1)).batch()
		if b.Revision != deleted || len(b.Events) != 1 || b.Events[0].Type != kv.EventDelete {
			t.Errorf("got %+v, want the deletion at %d", b, deleted)
		}
	})
}

// A member that has missed more than the others keep receives their state, not the history that led to it.
func TestAMemberThatCaughtUpByASnapshotEndsItsWatchesAsCompacted(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 3, snapshotsSoon, etcdtest.WithConfig(func(_ int, config *embed.Config) {
		config.ElectionMs = 3000 // so that a member is slow to notice a partition
	}))
	if err := cluster.MoveLeader(ctx, 1); err != nil {
		t.Fatal(err)
	}
	store, others := etcd.New(cluster.Client(0)), etcd.New(cluster.Client(1, 2))
	rev := must(store.Put(ctx, "k", nil))(t)
	must(store.Put(ctx, "idle", nil))(t)
	r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
	idle := read(t, store.Watch(ctx, kv.Key("idle"), rev))
	r.batch()
	idle.batch()
	cluster.Partition(0)
	var last kv.Revision
	for range 30 {
		last = must(others.Put(ctx, "k", nil))(t)
	}
	if err := cluster.Compact(ctx, int64(last)); err != nil {
		t.Fatal(err)
	}
	cluster.Heal()
	for _, w := range []*reader{r, idle} { // r has missed events, idle has missed none
		w.endCompacted(last)
	}
	read(t, store.Watch(ctx, kv.Key("k"), last-1)).nextIs(last)
}

// etcd's client resumes an idle watch after its last event, not after the last revision up to which nothing has changed.
func TestAnIdleWatchThatIsCutOffMayEndAsCompacted(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		rev := must(store.Put(ctx, "k", nil))(t)
		idle := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		idle.batch()
		must(store.Put(ctx, "other", nil))(t)
		last := must(store.Put(ctx, "other", nil))(t)
		if err := cluster.Compact(ctx, int64(last)); err != nil {
			t.Fatal(err)
		}
		cluster.Stop()
		if err := cluster.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		idle.endCompacted(last)
	})
}

func TestAWatchInTheFutureWaits(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		now := must(store.Put(ctx, "k", nil))(t)
		r := read(t, store.Watch(ctx, kv.Key("k"), now+3))
		endless, cancel := context.WithCancel(ctx)
		defer cancel()
		last := make(chan error, 1)
		go func() {
			for _, err := range store.Watch(endless, kv.Key("k"), math.MaxInt64) {
				last <- err
				return
			}
		}()
		for range 5 {
			must(store.Put(ctx, "k", nil))(t)
		}
		if b := r.batch(); b.Events[0].ModRevision != now+4 {
			t.Errorf("the first event is of revision %d, want %d", b.Events[0].ModRevision, now+4)
		}
		select {
		case err := <-last:
			t.Errorf("a watch after the largest revision yielded %v", err)
		default:
		}
		cancel()
		if err := <-last; !errors.Is(err, context.Canceled) {
			t.Errorf("the watch after the largest revision ended with %v, want %v", err, context.Canceled)
		}
	})
}
