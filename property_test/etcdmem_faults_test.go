package property_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/property_test/internal/history"
	"github.com/watchkv/watchkv/property_test/internal/nemesis"
	"github.com/watchkv/watchkv/property_test/internal/workload"
)

// For long:
//
//	go test ./property_test -run '^TestEtcdInMemoryIsLinearizableUnderFaults$' -bubbles=20000 -timeout=0 -v
var bubbles = flag.Int("bubbles", 40, "how many clusters TestEtcdInMemoryIsLinearizableUnderFaults harms")

// The adapter, etcd's client, a faulty network and faulty members, in virtual time: each seed is ten seconds of concurrent reads, writes and
// watches while members are killed, frozen and cut off, and the network loses what it carries.
func TestEtcdInMemoryIsLinearizableUnderFaults(t *testing.T) {
	var sum tally
	counts := make(map[nemesis.Fault]int)
	for seed := range uint64(*bubbles) {
		var run history.Run
		var harm *nemesis.Nemesis
		synctest.Test(t, func(t *testing.T) { run, harm = harmInMemory(t, seed) })
		sum.add(run)
		for fault, n := range harm.Counts() {
			counts[fault] += n
		}
		if t.Failed() || !run.Check(t) {
			t.Fatalf("with the seed %d, after %v", seed, harm.Done())
		}
	}
	t.Logf("%v; %v", sum, counts)
	if sum.done == 0 || sum.unknown == 0 || sum.cut == 0 || len(counts) != len(nemesis.OfMembers)+len(nemesis.OfNetwork) {
		t.Errorf("the test itself: the faults harm nobody: %v; %v", sum, counts)
	}
}

func harmInMemory(t *testing.T, seed uint64) (history.Run, *nemesis.Nemesis) {
	cluster := etcdmem.Start(t, 3, etcdmem.WithSeed(seed), etcdmem.WithTimes(50*time.Millisecond, 500*time.Millisecond))
	harm := nemesis.New(etcdmem.Any(cluster), slices.Concat(nemesis.OfMembers, nemesis.OfNetwork), seed, 300*time.Millisecond)
	harm.Delay = time.Millisecond // so that calls take time and overlap
	cluster.Network().Delay(harm.Delay)
	store := func(members ...int) *etcd.Store {
		client, err := clientv3.New(etcd.KeepAlive(cluster.ClientConfig(members...)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return etcd.New(client)
	}
	w := workload.Workload{Prefix: "/", Seed: seed, Operations: 100, Timeout: 2 * time.Second, Pause: 100 * time.Millisecond}
	var watchers []workload.Watcher
	for i := range 3 {
		w.Stores = append(w.Stores, store())
		watchers = append(watchers, workload.Watcher{Name: fmt.Sprintf("a watch on member %d", i), Store: store(i), Every: 20})
	}
	watchers = append(watchers, workload.Watcher{Name: "a watch of one key", Store: store(), Every: 1000, Key: true})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	run, err := w.Record(ctx, watchers, harm.Run)
	if err != nil {
		t.Errorf("the seed %d: %v", seed, err)
	}
	return run, harm
}
