package etcdtest_test

import (
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/mvcc"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestCompactIsSeenByAllMembersAtOnce(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	for range 20 {
		put(t, cluster.Client(0), "key", "old")
		rev := put(t, cluster.Client(0), "key", "new")
		check(t, cluster.Compact(bounded(t), rev))
		for i := range 3 {
			client := cluster.Client(i)
			wantValue(t, client, "key", "new", clientv3.WithRev(rev), clientv3.WithSerializable())
			_, err := client.Get(bounded(t), "key", clientv3.WithRev(rev-1), clientv3.WithSerializable())
			if !errors.Is(err, rpctypes.ErrCompacted) {
				t.Fatalf("member %d has not compacted: %v", i, err)
			}
		}
	}
	if err := cluster.Compact(bounded(t), 1); !errors.Is(err, mvcc.ErrCompacted) {
		t.Errorf("a compaction of what is compacted already gives %v", err)
	}
	if err := cluster.Compact(bounded(t), 1000); !errors.Is(err, mvcc.ErrFutureRev) {
		t.Errorf("a compaction at a future revision gives %v", err)
	}
}

func TestCompactWhileAMemberIsCutOff(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	put(t, cluster.Client(0), "key", "old") // member 0 has applied the put then
	cluster.Partition(0)
	cluster.Stop(1)
	check(t, cluster.Restart(bounded(t), 1))
	rev := put(t, cluster.Client(1, 2), "key", "new")
	check(t, cluster.Compact(bounded(t), rev))
	wantValue(t, cluster.Client(0), "key", "old", clientv3.WithSerializable())
	cluster.Heal()
	wantValue(t, cluster.Client(0), "key", "new")
}
