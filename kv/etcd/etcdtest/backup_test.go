package etcdtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestBackupAndRestore(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	client := cluster.Client()
	rev := put(t, client, "key", "kept")
	id := cluster.Member(0).Server.Cluster().ID()

	began := time.Now()
	backup := must(cluster.Backup(bounded(t)))(t)
	t.Logf("backed up in %v", time.Since(began))
	for attempt := range 2 {
		for i := range 10 {
			put(t, client, "key", fmt.Sprint(attempt, i))
		}
		cluster.Stop(attempt) // Restore also starts stopped members
		began = time.Now()
		check(t, cluster.Restore(bounded(t), backup))
		t.Logf("restored in %v", time.Since(began))

		got := must(client.Get(bounded(t), "key"))(t)
		if got.Header.Revision != rev || string(got.Kvs[0].Value) != "kept" {
			t.Errorf("after the restore the key is %q at revision %d, want %q at %d", got.Kvs[0].Value, got.Header.Revision, "kept", rev)
		}
		for i := range 3 {
			wantValue(t, cluster.Client(i), "key", "kept")
			if got := cluster.Member(i).Server.Cluster().ID(); got != id {
				t.Errorf("the cluster's identity was %v before the restore, and is %v after it", id, got)
			}
		}
	}
}

func TestBackupLeavesStoppedMembersStopped(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	put(t, cluster.Client(), "key", "value")
	cluster.Stop(2)
	must(cluster.Backup(bounded(t)))(t)
	if cluster.Member(2) != nil {
		t.Error("Backup has started a stopped member")
	}
	wantValue(t, cluster.Client(0, 1), "key", "value")
}

func TestRestoreOfAnotherClustersBackup(t *testing.T) {
	leaktest.Check(t)
	a, b := etcdtest.Start(t, 1), etcdtest.Start(t, 1)
	if err := b.Restore(bounded(t), must(a.Backup(bounded(t)))(t)); err == nil {
		t.Error("a cluster was restored from the backup of another cluster")
	}
}

func TestReplace(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	client := cluster.Client()
	put(t, client, "key", "value")
	backup := must(cluster.Backup(bounded(t)))(t)
	seen := map[uint64]bool{must(client.Get(bounded(t), "key"))(t).Header.ClusterId: true}
	for range 2 {
		began := time.Now()
		check(t, cluster.Replace(bounded(t)))
		t.Logf("replaced in %v", time.Since(began))

		got := must(client.Get(bounded(t), "key"))(t)
		if len(got.Kvs) != 0 || got.Header.Revision != 1 {
			t.Errorf("the new cluster has %v at revision %d", got.Kvs, got.Header.Revision)
		}
		if seen[got.Header.ClusterId] {
			t.Errorf("an earlier cluster had the same identity %x", got.Header.ClusterId)
		}
		seen[got.Header.ClusterId] = true
		put(t, client, "key", "new")
	}

	check(t, cluster.Restore(bounded(t), backup))
	wantValue(t, client, "key", "value")
	if got := must(client.Get(bounded(t), "key"))(t).Header.ClusterId; !seen[got] {
		t.Errorf("the restored cluster has the new identity %x", got)
	}
}

func TestPartitionSurvivesReplace(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	cluster.Partition(1)
	check(t, cluster.Replace(bounded(t)))
	put(t, cluster.Client(0, 2), "key", "value")
	if id := cluster.Member(1).Server.Leader(); id != 0 {
		t.Errorf("member 1 is partitioned, but follows %v", id)
	}
	cluster.Heal()
	wantValue(t, cluster.Client(1), "key", "value")
}
