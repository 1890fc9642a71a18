package property_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/ordering"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// To run for longer:
//
//	go test ./property_test -run '^TestPackagesOrdering$' -orderings=200 -timeout=0 -v
var (
	orderings     = flag.Int("orderings", 2, "how many programs TestPackagesOrdering runs")
	firstOrdering = flag.Uint64("ordering", 0, "the seed of the first of these programs")
)

// These programs read with etcd's package ordering, which notices when a member's answer is older than what the client has seen. One member
// lags behind at times, and the cluster is restored from a backup.
func TestPackagesOrdering(t *testing.T) {
	leaktest.Check(t)
	for seed := *firstOrdering; seed < *firstOrdering+uint64(*orderings); seed++ {
		var inMemory, onEtcd ordered
		synctest.Test(t, func(t *testing.T) {
			inMemory.run(t, etcdmem.Any(etcdmem.Start(t, 3, etcdmem.WithTimes(50*time.Millisecond, 500*time.Millisecond))), seed)
		})
		cluster := etcdtest.Start(t, 3)
		onEtcd.run(t, etcdmem.Any(cluster), seed)
		if err := cluster.Close(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(onEtcd.notes, inMemory.notes); d != "" {
			t.Fatalf("with the seed %d, answers, -on etcd +in memory:\n%s", seed, d)
		}
	}
}

// ordered is a client that reads at the member that the program chooses. Member 2 lags at times, and never leads.
type ordered struct {
	clientv3.KV // of the chosen member
	ctx         context.Context
	cluster     etcdmem.AnyCluster
	clients     [3]*clientv3.Client
	random      *rand.Rand
	alone       bool
	notes       []string
}

func (o *ordered) note(format string, args ...any) {
	o.notes = append(o.notes, fmt.Sprintf(format, args...))
}

func (o *ordered) run(t *testing.T, cluster etcdmem.AnyCluster, seed uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	o.ctx, o.cluster, o.random = ctx, cluster, rand.New(rand.NewPCG(seed, 0))
	for i := range o.clients {
		o.clients[i] = cluster.Client(i)
	}
	o.KV = o.clients[0].KV
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lead := func() { must(cluster.MoveLeader(ctx, 0)) }
	heal := func() {
		cluster.Heal()
		for i := range o.clients {
			if _, err := o.clients[i].Get(ctx, "a"); err != nil { // it has caught up
				t.Fatal(err)
			}
		}
		lead()
		o.alone = false
	}
	lead()
	var violations int
	var next func() // what is done when an answer is too old
	kv := ordering.NewKV(o, func(_ clientv3.Op, resp clientv3.OpResponse, seen int64) error {
		violations++
		switch {
		case resp.Get() != nil:
			o.note("   a read at %d after one at %d", resp.Get().Header.Revision, seen)
		case resp.Txn() != nil:
			o.note("   a transaction at %d after one at %d", resp.Txn().Header.Revision, seen)
		}
		if next == nil {
			return ordering.ErrNoGreaterRev
		}
		next()
		return nil
	})
	var backup etcdmem.AnyBackup
	for i := range 40 {
		member := o.random.IntN(3)
		switch n := o.random.IntN(24); {
		case n < 8:
			_, err := o.clients[member%2].Put(ctx, "a", fmt.Sprint(i))
			o.note("%d put: %v", i, err)
			must(err)
			connected := o.clients[:]
			if o.alone {
				connected = o.clients[:2]
			}
			for _, client := range connected { // all have the change before the next step
				_, err := client.Get(ctx, "a")
				must(err)
			}
		case n < 12 && !o.alone:
			cluster.Partition(2)
			o.alone = true
			o.note("%d member 2 is alone", i)
		case n < 14:
			heal()
			o.note("%d all members are connected", i)
		case n < 19:
			o.KV = o.clients[member].KV
			next = nil
			if o.random.IntN(2) == 0 {
				next = func() { o.KV = o.clients[0].KV; next = nil }
			}
			opts := []clientv3.OpOption{clientv3.WithSerializable()}
			if o.random.IntN(3) == 0 && !(member == 2 && o.alone) {
				opts = nil
			}
			resp, err := kv.Get(ctx, "a", opts...)
			o.note("%d read at %d, with %d options: %v", i, member, len(opts), err)
			if err == nil {
				o.note("   %s", answerText(resp))
			}
		case n < 22:
			o.KV = o.clients[member].KV
			next = nil
			if o.random.IntN(2) == 0 {
				next = func() { o.KV = o.clients[1].KV; next = nil }
			}
			read := clientv3.OpGet("a", clientv3.WithSerializable())
			resp, err := kv.Txn(ctx).If(clientv3.Compare(clientv3.Version("a"), ">", 2)).Then(read, read).Else(read).Commit()
			o.note("%d transaction at %d: %v", i, member, err)
			if err == nil {
				o.note("   %s", answerText(resp))
			}
		case n < 23 || backup == nil:
			heal()
			b, err := cluster.Backup(ctx)
			must(err)
			backup = b
			heal()
			o.note("%d backup", i)
		default:
			cluster.Heal()
			must(cluster.Restore(ctx, backup))
			heal()
			o.note("%d restore", i)
		}
	}
	o.note("%d answers were too old", violations)
}
