package etcdmem_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// threeMembers calls f in a bubble with a cluster, a member that does not lead, a client of that member, and a client of the other two.
func threeMembers(t *testing.T, f func(t *testing.T, cluster *etcdmem.Cluster, lone int, it, others *clientv3.Client)) {
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 3)
		leader, ok := cluster.Leader()
		if !ok {
			t.Fatal("a new cluster has no leader")
		}
		lone := (leader + 1) % 3
		f(t, cluster, lone, cluster.Client(lone), cluster.Client(leader, (leader+2)%3))
	})
}

func put(t *testing.T, client *clientv3.Client, key, value string, opts ...clientv3.OpOption) int64 {
	t.Helper()
	resp, err := client.Put(t.Context(), key, value, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Revision
}

func TestAMemberThatIsCutOffServesItsOldData(t *testing.T) {
	threeMembers(t, func(t *testing.T, cluster *etcdmem.Cluster, lone int, it, others *clientv3.Client) {
		ctx := t.Context()
		first := put(t, others, "/a", "1")
		watch := it.Watch(ctx, "/a", clientv3.WithCreatedNotify())
		<-watch

		cluster.Partition(lone)
		put(t, others, "/a", "2")
		last := put(t, others, "/a", "3")
		if err := cluster.Compact(ctx, last); err != nil {
			t.Fatal(err)
		}
		stale, err := it.Get(ctx, "/a", clientv3.WithSerializable())
		if err != nil || string(stale.Kvs[0].Value) != "1" || stale.Header.Revision != first {
			t.Errorf("the partitioned member answers %v, %v", stale, err)
		}
		past, err := it.Get(ctx, "/a", clientv3.WithSerializable(), clientv3.WithRev(1))
		if err != nil || len(past.Kvs) != 0 {
			t.Errorf("for a revision that only the other members have compacted, the partitioned member answers %v, %v", past, err)
		}
		if _, err := it.Get(ctx, "/a", clientv3.WithSerializable(), clientv3.WithRev(last)); !errors.Is(err, rpctypes.ErrFutureRev) {
			t.Errorf("for a revision that it has not reached, the partitioned member answers %v", err)
		}
		late := it.Watch(ctx, "/a", clientv3.WithRev(first), clientv3.WithCreatedNotify())
		if r := <-late; r.Header.Revision != first {
			t.Errorf("a watch at the partitioned member begins at revision %d, want %d", r.Header.Revision, first)
		}
		if r := <-late; len(r.Events) != 1 || r.Events[0].Kv.ModRevision != first {
			t.Errorf("a watch of the past at the partitioned member gets %v", r.Events)
		}
		synctest.Wait()
		select {
		case r := <-watch:
			t.Errorf("a watch at the partitioned member gets %v, want nothing", r.Events)
		default:
		}

		cluster.Heal()
		for _, w := range []clientv3.WatchChan{watch, late} {
			for _, value := range []string{"2", "3"} {
				if r := <-w; len(r.Events) != 1 || string(r.Events[0].Kv.Value) != value || r.Header.Revision != r.Events[0].Kv.ModRevision {
					t.Errorf("after the partition a watch gets %+v, want %s", r, value)
				}
			}
		}
		if _, err := it.Get(ctx, "/a", clientv3.WithSerializable(), clientv3.WithRev(first)); !errors.Is(err, rpctypes.ErrCompacted) {
			t.Errorf("for a revision that it has compacted by now, the member answers %v", err)
		}
	})
}

func TestALeaseIsKeptAliveThroughAnyMember(t *testing.T) {
	threeMembers(t, func(t *testing.T, cluster *etcdmem.Cluster, lone int, it, others *clientv3.Client) {
		ctx := t.Context()
		lease, err := it.Grant(ctx, 10)
		if err != nil {
			t.Fatal(err)
		}
		put(t, it, "/a", "1", clientv3.WithLease(lease.ID))
		for range 5 {
			time.Sleep(8 * time.Second)
			if r, err := it.KeepAliveOnce(ctx, lease.ID); err != nil || r.TTL != 10 {
				t.Fatalf("a member that does not lead renews a lease: %v, %v", r, err)
			}
		}
		time.Sleep(4500 * time.Millisecond)
		left, err := it.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys())
		if err != nil || left.TTL != 5 || len(left.Keys) != 1 {
			t.Errorf("after 4.5 s of 10, the lease is %+v, %v", left, err)
		}
		watch := others.Watch(ctx, "/a")
		began := time.Now()
		if r := <-watch; len(r.Events) != 1 || r.Events[0].Type != clientv3.EventTypeDelete {
			t.Errorf("when the lease expires, a watch gets %v", r.Events)
		}
		if took := time.Since(began); took < 5500*time.Millisecond || took > 6500*time.Millisecond {
			t.Errorf("the lease expires after another %v, want 5.5 s to 6 s, because etcd looks twice a second", took)
		}
	})
}

func TestANewLeaderRestartsTheTimeOfLeases(t *testing.T) {
	threeMembers(t, func(t *testing.T, cluster *etcdmem.Cluster, lone int, it, others *clientv3.Client) {
		ctx := t.Context()
		lease, err := it.Grant(ctx, 60)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		if err := cluster.MoveLeader(ctx, lone); err != nil {
			t.Fatal(err)
		}
		left, err := others.TimeToLive(ctx, lease.ID)
		if err != nil || left.TTL < 60 || left.TTL > 61 {
			t.Errorf("after a change of the leader, the lease is %+v, %v; want 60 s plus the time of an election", left, err)
		}
	})
}

func TestAWatchThatRequiresALeaderEndsWithoutOne(t *testing.T) {
	threeMembers(t, func(t *testing.T, cluster *etcdmem.Cluster, lone int, it, others *clientv3.Client) {
		plain := it.Watch(t.Context(), "/a", clientv3.WithCreatedNotify())
		required := it.Watch(clientv3.WithRequireLeader(t.Context()), "/a", clientv3.WithCreatedNotify())
		<-plain
		<-required
		cluster.Partition(lone)
		began := time.Now()
		if r := <-required; !errors.Is(r.Err(), rpctypes.ErrNoLeader) {
			t.Errorf("the watch that requires a leader ends with %v", r.Err())
		}
		if took := time.Since(began); took < 3*time.Second || took > 7*time.Second {
			t.Errorf("the watch that requires a leader ends after %v", took)
		}
		cluster.Heal()
		value := put(t, others, "/a", "1")
		if r := <-plain; len(r.Events) != 1 || r.Events[0].Kv.ModRevision != value {
			t.Errorf("the other watch gets %+v", r)
		}
	})
}
