package shop

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// A customer comes each second, or when the previous one has left. A customer who is not served leaves after five seconds.
func TestLongestWaitDuringEachFault(t *testing.T) {
	const second, always = time.Second, time.Minute
	for _, c := range []struct {
		name     string
		fault    func(c *etcdmem.Cluster, leader, follower, other int)
		from, to time.Duration // the longest time without a served customer, in a minute
	}{
		{"a follower is stopped", func(c *etcdmem.Cluster, leader, follower, other int) { c.Stop(follower) }, 1 * second, 2 * second},
		{"the leader is stopped", func(c *etcdmem.Cluster, leader, follower, other int) { c.Stop(leader) }, 1 * second, 4 * second},
		{"the leader is frozen", func(c *etcdmem.Cluster, leader, follower, other int) { c.Freeze(leader) }, 5 * second, 7 * second},
		{"the leader's machine is gone", func(c *etcdmem.Cluster, leader, follower, other int) {
			c.Partition(leader)
			c.Network().Swallow(leader)
		}, 5 * second, 7 * second},
		{"a follower is cut off from the others", func(c *etcdmem.Cluster, leader, follower, other int) { c.Partition(follower) }, 5 * second, 12 * second}, // two customers in a row may use this member
		{"all connections are reset", func(c *etcdmem.Cluster, leader, follower, other int) { c.Network().Reset() }, 1 * second, 2 * second},
		{"all connections are forgotten", func(c *etcdmem.Cluster, leader, follower, other int) { c.Network().Forget() }, 15 * second, 26 * second}, // keep-alive finds one dead connection after the other
		{"the network is slow", func(c *etcdmem.Cluster, leader, follower, other int) { c.Network().Delay(300 * time.Millisecond) }, 1 * second, 2 * second},
		{"a majority is stopped", func(c *etcdmem.Cluster, leader, follower, other int) { c.Stop(leader, other) }, always, always},
		{"the client is cut off", func(c *etcdmem.Cluster, leader, follower, other int) { c.Network().Swallow() }, always, always},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := etcdmem.Start(t, 3)
				client := dial(t, cluster)
				defer client.Close()
				put(t, client, "/shop/stock/pen", "1000")
				shop := Open(client)
				defer shop.Close()
				synctest.Wait()

				leader, _ := cluster.Leader()
				c.fault(cluster, leader, (leader+1)%3, (leader+2)%3)
				if wait := longestWait(t, shop); wait < c.from || wait > c.to {
					t.Errorf("no customer is served for %v, want %v to %v", wait, c.from, c.to)
				}

				cluster.Network().Mend()
				cluster.Heal()
				cluster.Thaw()
				if err := cluster.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(15 * time.Second) // until the client has connected again
				if wait := longestWait(t, shop); wait > time.Second {
					t.Errorf("after the fault has ended, no customer is served for %v", wait)
				}
			})
		})
	}
}

// longestWait returns the longest time in the next minute in which no customer is served.
func longestWait(t *testing.T, shop *Shop) (longest time.Duration) {
	began := time.Now()
	for served := began; time.Since(began) < time.Minute; {
		next := time.Now().Add(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := shop.Sell(ctx, "pen", 1)
		cancel()
		longest = max(longest, time.Since(served))
		if err == nil {
			served = time.Now()
		}
		time.Sleep(time.Until(next))
	}
	return longest
}
