package etcd_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func TestAMemberWithoutALeaderEndsItsWatches(t *testing.T) {
	onCluster(t, 3, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		if err := cluster.MoveLeader(ctx, 1); err != nil {
			t.Fatal(err)
		}
		store := etcd.New(cluster.Client(0))
		rev := must(store.Put(ctx, "k", nil))(t)
		r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		r.batch()
		cluster.Partition(0)
		r.end(kv.ErrUnavailable)
		// The other side still works. After the heal, a new watch delivers what the old one missed.
		missed := must(etcd.New(cluster.Client(1, 2)).Put(ctx, "k", nil))(t)
		cluster.Heal()
		must(cluster.WaitLeader(ctx))(t)
		read(t, store.Watch(ctx, kv.Key("k"), rev)).nextIs(missed)
	})
}

func TestWithoutALeaderAWatchIsRefusedAndOtherCallsWaitForTheirContext(t *testing.T) {
	onCluster(t, 3, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client(0))
		rev := must(store.Put(ctx, "k", nil))(t)
		r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		r.batch()
		cluster.Stop(1, 2)
		r.end(kv.ErrUnavailable)
		read(t, store.Watch(ctx, kv.Key("k"), rev)).end(kv.ErrUnavailable)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ends := make(chan error)
		go func() { _, err := store.Get(ctx, kv.Key("k")); ends <- err }()
		go func() { _, err := store.Put(ctx, "k", nil); ends <- err }()
		select {
		case err := <-ends:
			t.Fatalf("a call was answered without a leader: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		start := time.Now()
		cancel()
		for range 2 {
			if err := <-ends; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
		}
		if took := time.Since(start); took > atOnce {
			t.Errorf("it took %v", took)
		}
	})
}

// Such a member could only answer with old data.
func TestAMemberThatIsCutOffAnswersNothing(t *testing.T) {
	onCluster(t, 3, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		if err := cluster.MoveLeader(ctx, 1); err != nil {
			t.Fatal(err)
		}
		store := etcd.New(cluster.Client(0))
		first := must(store.Put(ctx, "k", nil))(t)
		watch := read(t, store.Watch(ctx, kv.Key("k"), first-1))
		watch.batch()
		cluster.Partition(0)
		rev := must(etcd.New(cluster.Client(1, 2)).Put(ctx, "k", nil))(t)
		type answer struct {
			what string
			rev  kv.Revision
			err  error
		}
		answers := make(chan answer)
		for _, r := range []kv.Range{kv.Key("k"), kv.Prefix("k"), kv.All()} {
			go func() {
				got, err := store.Get(ctx, r)
				answers <- answer{"get " + r.String(), got.Revision, err}
			}()
		}
		go func() {
			got, err := store.Commit(ctx)
			answers <- answer{"commit nothing", got, err}
		}()
		watch.end(kv.ErrUnavailable) // until then, the member had time to answer
		cluster.Heal()
		for range 4 {
			switch a := <-answers; {
			case a.err != nil:
				t.Errorf("%s: %v", a.what, a.err)
			case a.rev != rev:
				t.Errorf("%s: revision %d, want %d", a.what, a.rev, rev)
			}
		}
	})
}
