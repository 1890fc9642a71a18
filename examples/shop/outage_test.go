package shop

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// dial returns a client with the configuration of the program's clients. Only its dialer is different.
func dial(t *testing.T, cluster *etcdmem.Cluster) *clientv3.Client {
	t.Helper()
	config := Config(cluster.Endpoints())
	config.Logger = zap.NewNop()
	config.DialOptions = append(config.DialOptions, cluster.DialOptions()...)
	client, err := clientv3.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestAnOutageOfTenMinutesEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 3)
		client := dial(t, cluster)
		defer client.Close()
		put(t, client, "/shop/stock/pen", "10")
		shop := Open(client)
		defer shop.Close()
		synctest.Wait()

		cluster.Stop() // all members
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		wantErr(t, "a sale without etcd", shop.Sell(ctx, "pen", 1), context.DeadlineExceeded)
		time.Sleep(10 * time.Minute) // takes no time: a bubble's clock moves when all goroutines are blocked
		wantErr(t, "a sale after ten minutes", shop.Sell(t.Context(), "pen", 1), ErrOutdated)

		if err := cluster.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		put(t, client, "/shop/limits", `{"per_order":5}`)
		time.Sleep(15 * time.Second) // the pauses between attempts to watch again have grown to 10 s
		wantErr(t, "a sale after the outage, by the new limits", shop.Sell(t.Context(), "pen", 5), nil)
	})
}

func TestAStaleReadIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 3)
		leader, _ := cluster.Leader()
		lone, other := (leader+1)%3, (leader+2)%3
		ours, theirs := cluster.Client(lone), cluster.Client(leader, other)
		put(t, theirs, "/shop/stock/pen", "1")

		cluster.Partition(lone) // from the other members, not from its clients
		put(t, theirs, "/shop/stock/pen", "0")

		stale, err := ours.Get(t.Context(), "/shop/stock/pen", clientv3.WithSerializable())
		if err != nil || string(stale.Kvs[0].Value) != "1" {
			t.Errorf("a serializable read during the partition: %v, %v; want the old value, 1", stale, err)
		}
		time.Sleep(5 * time.Second) // until the member knows that it has no leader
		_, err = ours.Get(t.Context(), "/shop/stock/pen")
		wantErr(t, "a linearizable read", err, rpctypes.ErrTimeout)
	})
}

func TestUnconfirmedLimitsStopSales(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 3)
		leader, _ := cluster.Leader()
		lone := (leader + 1) % 3
		shop := Open(cluster.Client(lone))
		defer shop.Close()
		put(t, cluster.Client(), "/shop/stock/pen", "1")
		time.Sleep(time.Hour) // nothing changes
		wantErr(t, "a sale by limits that did not change for an hour", shop.Sell(t.Context(), "pen", 1), nil)

		cluster.Partition(lone)
		time.Sleep(maxAge + time.Second)
		wantErr(t, "a sale by limits that may have changed", shop.Sell(t.Context(), "pen", 1), ErrOutdated)
	})
}
