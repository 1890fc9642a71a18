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
		client.Lease.Close() // nothing keeps the lease alive
		if r := <-watch; len(r.Events) != 1 || r.Events[0].Type != clientv3.EventTypeDelete {
			t.Errorf("the watch got %+v", r)
		}
		if took := time.Since(began); took < 30*time.Minute || took > 31*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}
