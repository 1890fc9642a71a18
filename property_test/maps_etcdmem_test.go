package property_test

import (
	"context"
	"flag"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

var (
	rangeBubbles = flag.Int("maps.bubbles", 4, "how many clusters TestMapsUnderFaultsOnEtcdInMemory runs")
	rangeSeed    = flag.Uint64("maps.seed", 1, "the seed of the first cluster")
)

// This tests M2 to M8, and V3 to V8 of keys next to the ranges, over kv/etcd, etcd's client, a faulty network and three faulty members of etcd in
// memory, in virtual time. To run thousands of programs:
//
//	go test ./property_test -run TestMapsUnderFaultsOnEtcdInMemory -v -timeout 2h -maps.bubbles=1000
func TestMapsUnderFaultsOnEtcdInMemory(t *testing.T) {
	for seed := *rangeSeed; seed < *rangeSeed+uint64(*rangeBubbles) && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			ground := newClusterGround(etcdmem.Any(etcdmem.Start(t, 3, etcdmem.WithSeed(seed))))
			ground.inMemory = true
			// In virtual time any number of runs is possible.
			if err := playOnCluster(ctx, t, ground, 0, seed, crowd{keys: 1, ranges: 3, disturbances: 5, runs: 3}); err != nil {
				t.Errorf("%v\nto play these programs again: -run '^%s$' -maps.bubbles=1 -maps.seed=%d", err, t.Name(), seed)
			}
		})
	}
}
