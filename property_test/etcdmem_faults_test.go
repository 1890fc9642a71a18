package property_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"sync"
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

// To run for long, and to run the bubble of one seed:
//
//	go test ./property_test -run '^TestEtcdInMemoryIsLinearizableUnderFaults$' -bubbles=20000 -timeout=0 -v
//	go test ./property_test -run '^TestEtcdInMemoryIsLinearizableUnderFaults$' -bubbles=1 -bubble=4711
var (
	bubbles     = flag.Int("bubbles", 40, "how many clusters TestEtcdInMemoryIsLinearizableUnderFaults runs")
	firstBubble = flag.Uint64("bubble", 0, "the seed of the first cluster")
)

// This tests kv/etcd and etcd's client on a faulty network with faulty members, in virtual time. Each seed has ten seconds of concurrent
// reads, writes and watches. During that time, members are killed, frozen and partitioned, and the network loses packets. The seed decides the
// faults, and how long each packet travels.
func TestEtcdInMemoryIsLinearizableUnderFaults(t *testing.T) {
	var sum tally
	counts := make(map[nemesis.Fault]int)
	ways, steps := make(map[uint64]bool), 0
	for seed := *firstBubble; seed < *firstBubble+uint64(*bubbles); seed++ {
		var run history.Run
		h := newHarm(seed)
		synctest.Test(t, func(t *testing.T) { run = h.run(t) })
		sum.add(run)
		for _, n := range h.nemeses {
			for fault, times := range n.Counts() {
				counts[fault] += times
			}
		}
		ways[h.way.sum] = true
		steps += h.way.steps
		if t.Failed() || !run.Check(t) {
			t.Fatalf("with the seed %d, after %v; to run it again: -bubbles=1 -bubble=%d", seed, h.done(), seed)
		}
	}
	t.Logf("%d programs gave %d different runs, with %d faults and failures on average: %v; %v", *bubbles, len(ways), steps / *bubbles, sum, counts)
	if *bubbles > 30 && (sum.done == 0 || sum.unknown == 0 || sum.cut == 0 || len(counts) != len(nemesis.OfMembers)+len(nemesis.OfNetwork)) {
		t.Errorf("the test itself: the faults have no effect: %v; %v", sum, counts)
	}
}

// harm makes the faults of one cluster.
type harm struct {
	seed    uint64
	way     *way
	nemeses []*nemesis.Nemesis
}

func newHarm(seed uint64) *harm { return &harm{seed: seed, way: new(way)} }

// run makes faults in a cluster, in a bubble, while clients use the cluster.
func (h *harm) run(t *testing.T) history.Run {
	cluster := etcdmem.Start(t, 3, etcdmem.WithSeed(h.seed), etcdmem.WithTimes(50*time.Millisecond, 500*time.Millisecond))
	// Calls take time and overlap. The seed decides their order.
	travel := func(members ...int) { cluster.Network().DelayAround(time.Millisecond, time.Millisecond, members...) }
	travel()
	h.choose(etcdmem.Any(cluster), func(member int) { travel(member) })
	store := func(who string, members ...int) history.Store {
		client, err := clientv3.New(etcd.KeepAlive(cluster.ClientConfig(members...)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return h.way.of(who, etcd.New(client))
	}
	w := workload.Workload{Prefix: "/", Seed: h.seed, Operations: 100, Timeout: 2 * time.Second, Pause: 100 * time.Millisecond}
	var watchers []workload.Watcher
	for i := range 3 {
		w.Stores = append(w.Stores, store(fmt.Sprintf("client %d", i)))
		name := fmt.Sprintf("a watch on member %d", i)
		watchers = append(watchers, workload.Watcher{Name: name, Store: store(name, i), Every: 20})
	}
	// A Store that reads finds out which of its watches is silent, and ends it.
	const one = "a watch of one key, by client 0"
	watchers = append(watchers, workload.Watcher{Name: one, Store: w.Stores[0], Every: 1000, Key: true})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	run, err := w.Record(ctx, watchers, h.harm)
	if err != nil {
		t.Errorf("the seed %d: %v", h.seed, err)
	}
	return run
}

// choose makes one nemesis for all faults, or two that make faults of members and of the network concurrently.
func (h *harm) choose(cluster etcdmem.AnyCluster, mended func(member int)) {
	kinds := [][]nemesis.Fault{slices.Concat(nemesis.OfMembers, nemesis.OfNetwork)}
	if h.seed%2 == 1 {
		kinds = [][]nemesis.Fault{nemesis.OfMembers, nemesis.OfNetwork}
	}
	for i, faults := range kinds {
		n := nemesis.New(cluster, faults, 2*h.seed+uint64(i), 300*time.Millisecond)
		n.Mended = mended
		n.Long = 5 * time.Second // a watch ends after about two seconds without a leader
		n.Note = func(text string) { h.way.note("nemesis", text) }
		h.nemeses = append(h.nemeses, n)
	}
}

func (h *harm) harm(ctx context.Context) error {
	errs := make([]error, len(h.nemeses))
	var running sync.WaitGroup
	for i, n := range h.nemeses {
		running.Go(func() { errs[i] = n.Run(ctx) })
	}
	running.Wait()
	return errors.Join(errs...)
}

// done returns what each nemesis has done.
func (h *harm) done() (all [][]string) {
	for _, n := range h.nemeses {
		all = append(all, n.Done())
	}
	return all
}
