package shop

import (
	"flag"
	"os"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

var real = flag.Bool("real", false, "run the tests that can on real members of etcd")

func TestMain(m *testing.M) {
	etcdtest.RunMember() // in a process of a real member this does not return
	os.Exit(m.Run())
}

// withCluster calls test with three members: in memory and in a bubble, or real ones.
func withCluster(t *testing.T, test func(t *testing.T, cluster etcdmem.AnyCluster)) {
	if *real {
		test(t, etcdmem.Any(etcdtest.Start(t, 3, etcdtest.WithProcesses())))
		return
	}
	synctest.Test(t, func(t *testing.T) { test(t, etcdmem.Any(etcdmem.Start(t, 3))) })
}

// Sales continue while another member is elected. If a sale fails, it is unknown whether it has taken an item.
func TestAChangeOfLeaderLosesNoSale(t *testing.T) {
	leaktest.Check(t)
	withCluster(t, func(t *testing.T, cluster etcdmem.AnyCluster) {
		client := cluster.Client()
		put(t, client, "/shop/stock/pen", "1000")
		shop := Open(client)
		defer shop.Close()
		waitForLimits(t, shop)

		sold, unknown := 0, 0
		sell := func(customers int) {
			for range customers {
				if err := shop.Sell(t.Context(), "pen", 1); err == nil {
					sold++
				} else {
					t.Log("a sale failed:", err)
					unknown++
				}
			}
		}
		sell(10)
		leader, err := cluster.WaitLeader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cluster.Stop(leader) // SIGKILL
		sell(10)
		if _, err := cluster.WaitLeader(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := unknown
		sell(10)
		if unknown > before {
			t.Errorf("%d of 10 sales failed with a new leader", unknown-before)
		}
		r, err := client.Get(t.Context(), "/shop/stock/pen")
		if err != nil {
			t.Fatal(err)
		}
		left, _ := strconv.Atoi(string(r.Kvs[0].Value))
		if taken := 1000 - left; taken < sold || taken > sold+unknown {
			t.Errorf("%d pens were taken, for %d sales and %d failed sales", taken, sold, unknown)
		}
	})
}
