package etcdmem_test

import (
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func TestABubbleHoldsAClusterAndItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		cluster := etcdmem.Start(t, 1)
		client := cluster.Client()
		ctx := t.Context()
		lease, err := client.Grant(ctx, 10)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := client.KeepAlive(ctx, lease.ID)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for range kept {
			}
		}()
		watch := client.Watch(ctx, "/", clientv3.WithPrefix())
		put, err := client.Put(ctx, "/a", "1", clientv3.WithLease(lease.ID))
		if err != nil {
			t.Fatal(err)
		}
		if r := <-watch; len(r.Events) != 1 || r.Events[0].Kv.ModRevision != put.Header.Revision {
			t.Errorf("the watch got %+v", r)
		}
		time.Sleep(30 * time.Minute)
		get, err := client.Get(ctx, "/a")
		if err != nil || len(get.Kvs) != 1 {
			t.Fatalf("after half an hour: %v, %v", get, err)
		}
		client.Lease.Close() // from now on nothing keeps the lease alive
		if r := <-watch; len(r.Events) != 1 || r.Events[0].Type != clientv3.EventTypeDelete {
			t.Errorf("the watch got %+v", r)
		}
		if took := time.Since(began); took < 30*time.Minute || took > 31*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestABubbleHoldsThreeMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 3)
		client := cluster.Client()
		ctx := t.Context()
		put, err := client.Put(ctx, "/a", "1")
		if err != nil {
			t.Fatal(err)
		}
		leader, _ := cluster.Leader()
		cluster.Stop(leader)
		next, err := cluster.WaitLeader(ctx)
		if err != nil || next == leader {
			t.Fatalf("member %d led, and then %d, %v", leader, next, err)
		}
		get, err := client.Get(ctx, "/a")
		if err != nil || len(get.Kvs) != 1 || get.Kvs[0].ModRevision != put.Header.Revision {
			t.Fatalf("after the leader's death: %v, %v", get, err)
		}
		if err := cluster.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		backup, err := cluster.Backup(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Put(ctx, "/a", "2"); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Restore(ctx, backup); err != nil {
			t.Fatal(err)
		}
		get, err = client.Get(ctx, "/a")
		if err != nil || len(get.Kvs) != 1 || string(get.Kvs[0].Value) != "1" {
			t.Fatalf("after a restore: %v, %v", get, err)
		}
		if err := cluster.Replace(ctx); err != nil {
			t.Fatal(err)
		}
		get, err = client.Get(ctx, "/a")
		if err != nil || len(get.Kvs) != 0 || get.Header.Revision != 1 {
			t.Fatalf("after a replacement: %v, %v", get, err)
		}
	})
}
