package property_test

import (
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/property_test/internal/rpc"
)

// etcd in memory answers every gRPC call as etcd does.
func TestEtcdInMemoryEqualsEtcd(t *testing.T) {
	leaktest.Check(t)
	etcd := startRealEtcd(t)
	rapid.Check(t, func(t *rapid.T) {
		start := etcd.clear(t)
		p := start.Draw(t)
		if d := etcd.difference(t, start, p); d != "" {
			t.Fatal(d)
		}
	})
	t.Logf("compared %d programs, %d steps in all", etcd.programs, etcd.steps)
}

// realEtcd is one etcd member. Programs run on it one after the other.
type realEtcd struct {
	conn            *grpc.ClientConn
	programs, steps int
}

func startRealEtcd(t testing.TB) *realEtcd {
	return &realEtcd{conn: etcdtest.Start(t, 1).Client().ActiveConnection()}
}

// clear removes what is left of earlier programs.
func (e *realEtcd) clear(t rapid.TB) rpc.Start {
	ctx := context.Background()
	kv, leases := pb.NewKVClient(e.conn), pb.NewLeaseClient(e.conn)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	old, err := leases.LeaseLeases(ctx, new(pb.LeaseLeasesRequest))
	must(err)
	for _, l := range old.Leases {
		_, err := leases.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: l.ID})
		must(err)
	}
	_, err = kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte{0}, RangeEnd: []byte{0}})
	must(err)
	last, err := rpc.Forget(ctx, e.conn)
	must(err)
	e.programs++
	return rpc.Start{Revision: last, Lease: int64(e.programs) * 10}
}

// difference runs a program on both, and returns what differs.
func (e *realEtcd) difference(t *rapid.T, start rpc.Start, p rpc.Program) string {
	var inMemory []rpc.Answer
	rapid.SyncTest(t, func(t *rapid.T) {
		cluster, err := etcdmem.New(1, etcdmem.WithRevision(start.Revision-2))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		conn := cluster.Client().ActiveConnection()
		if revision, err := rpc.Forget(context.Background(), conn); err != nil || revision != start.Revision {
			t.Fatalf("the program starts at revision %d, %v; want %d", revision, err, start.Revision)
		}
		inMemory = rpc.RunInBubble(context.Background(), conn, p)
	})
	e.steps += len(p)
	return rpc.Difference(p, inMemory, rpc.RunOnEtcd(context.Background(), e.conn, p, inMemory))
}
