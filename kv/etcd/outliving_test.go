package etcd_test

import (
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func TestAWatchSurvivesTheStopOfItsMember(t *testing.T) {
	onCluster(t, 3, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		// The leader must not be the member that stops. Otherwise the watch would move to a member without a leader, which would end it.
		if err := cluster.MoveLeader(ctx, 1); err != nil {
			t.Fatal(err)
		}
		client := cluster.Client(0)
		store := etcd.New(client)
		rev := must(store.Put(ctx, "k", nil))(t)
		r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		r.batch()
		client.SetEndpoints(cluster.Endpoints()...)
		cluster.Stop(0)
		writer := etcd.New(cluster.Client(1, 2))
		if _, err := cluster.WaitLeader(ctx); err != nil {
			t.Fatal(err)
		}
		var want []kv.Revision
		for len(want) < 3 {
			want = append(want, must(writer.Put(ctx, "k", nil))(t))
		}
		for len(want) > 0 {
			for _, e := range r.batch().Events {
				if e.ModRevision != want[0] {
					t.Fatalf("got revision %d, want %d", e.ModRevision, want[0])
				}
				want = want[1:]
			}
		}
	})
}

func TestAWatchSurvivesARestartOfItsCluster(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		rev := must(store.Put(ctx, "k", nil))(t)
		r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		r.batch()
		for range 3 {
			cluster.Stop()
			if err := cluster.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			rev = must(store.Put(ctx, "k", nil))(t)
			if got := r.batch().Revision; got != rev {
				t.Fatalf("got revision %d, want %d", got, rev)
			}
		}
	})
}
