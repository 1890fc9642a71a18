package etcdmem_test

import (
	"testing"
	"testing/synctest"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func TestTheChecksumOfMembersIsEqualIfTheirKeysAreAndNeverZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 2)
		sum := func(member int) uint32 {
			t.Helper()
			r, err := pb.NewMaintenanceClient(cluster.Client(member).ActiveConnection()).Hash(t.Context(), new(pb.HashRequest))
			if err != nil {
				t.Fatal(err)
			}
			of, err := cluster.Client(member).HashKV(t.Context(), cluster.Endpoints(member)[0], 0)
			if err != nil || of.Hash == 0 || r.Hash == 0 {
				t.Errorf("the checksums of member %d are %d and %v, %v", member, r.Hash, of, err)
			}
			return r.Hash
		}
		empty := sum(0)
		put(t, cluster.Client(), "/a", "1")
		for i := range 2 { // a linearizable read makes the member apply what the leader has
			if _, err := cluster.Client(i).Get(t.Context(), "/a"); err != nil {
				t.Fatal(err)
			}
		}
		if one, other := sum(0), sum(1); one != other || one == empty {
			t.Errorf("the members' checksums are %d and %d; without keys the checksum was %d", one, other, empty)
		}
	})
}
