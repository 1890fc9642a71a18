package shop

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func TestACounterIsClosedTenMinutesAfterItsServerDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 3)
		client, servers := cluster.Client(), cluster.Client()
		ctx, die := context.WithCancel(t.Context())
		go Staff(ctx, servers, "one", "10.0.0.1")
		time.Sleep(time.Hour)
		wantCounters(t, client, 1)

		die() // nothing keeps the lease alive any more
		began := time.Now()
		watch := client.Watch(t.Context(), "/shop/counters/one")
		if r := <-watch; len(r.Events) != 1 || r.Events[0].Type != clientv3.EventTypeDelete {
			t.Errorf("the watch delivered %v, want the deletion of the counter", r.Events)
		}
		// A client renews a lease each third of its time, so between two thirds of it and all of it was left.
		if took := time.Since(began); took < 6*time.Minute || took > 10*time.Minute+time.Second {
			t.Errorf("the counter was closed after %v, want ten minutes", took)
		}
		wantCounters(t, client, 0)
	})
}

func wantCounters(t *testing.T, client *clientv3.Client, want int) {
	t.Helper()
	if n, err := Counters(t.Context(), client); err != nil || n != want {
		t.Errorf("there are %d counters, %v; want %d", n, err, want)
	}
}
