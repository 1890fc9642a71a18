package etcdmem_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// The names of keys of locks and elections end with the identity of a lease, so their order is that in which the leases were granted.
func TestTheIdentitiesOfLeasesThatAMemberChoosesAscend(t *testing.T) {
	var runs [2][]int64
	for i := range runs {
		synctest.Test(t, func(t *testing.T) {
			cluster := etcdmem.Start(t, 3)
			grant := func() {
				g, err := cluster.Client(1).Grant(t.Context(), 100)
				if err != nil {
					t.Fatal(err)
				}
				runs[i] = append(runs[i], int64(g.ID))
			}
			for range 20 {
				grant()
			}
			cluster.Stop(1)
			if err := cluster.Restart(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			grant()
			backup, err := cluster.Backup(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			grant()
			if err := cluster.Restore(t.Context(), backup); err != nil {
				t.Fatal(err)
			}
			grant()
		})
	}
	if ids := runs[0]; ids[0] < 1 || !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) < len(ids) {
		t.Errorf("the leases are %d, want each to be greater than the ones before", ids)
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Errorf("two clusters with the same seed grant the leases %d and %d", runs[0], runs[1])
	}
}
