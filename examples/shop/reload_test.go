package shop

import (
	"errors"
	"testing"
	"testing/synctest"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func TestLimitsAreReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := etcdmem.Start(t, 1).Client()
		shop := Open(client)
		defer shop.Close()
		perOrder := func(want int) {
			t.Helper()
			synctest.Wait() // until all goroutines are blocked
			if limits, _ := shop.limits.Latest(); limits.Value.PerOrder != want {
				t.Errorf("the limit of an order is %d, want %d", limits.Value.PerOrder, want)
			}
		}
		perOrder(1) // the default

		put(t, client, "/shop/limits", `{"per_order":10}`)
		perOrder(10)
		put(t, client, "/shop/limits", `{"per_order":"many"}`)
		perOrder(10) // what does not decode changes nothing
		if _, err := client.Delete(t.Context(), "/shop/limits"); err != nil {
			t.Fatal(err)
		}
		perOrder(1)
	})
}

func put(t *testing.T, client *clientv3.Client, key, value string) {
	t.Helper()
	if _, err := client.Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}
