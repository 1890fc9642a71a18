package etcdmem_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// Both types of clusters have the methods.
var (
	_ = etcdmem.Any((*etcdmem.Cluster)(nil))
	_ = etcdmem.Any((*etcdtest.Cluster)(nil))
)

func TestAnyClusterTakesItsOwnBackups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, another := etcdmem.Any(etcdmem.Start(t, 1)), etcdmem.Any(etcdmem.Start(t, 1))
		client := cluster.Client()
		put(t, client, "/a", "1")
		backup, err := cluster.Backup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		put(t, client, "/a", "2")
		if err := cluster.Restore(t.Context(), backup); err != nil {
			t.Fatal(err)
		}
		get, err := client.Get(t.Context(), "/a")
		if err != nil || len(get.Kvs) != 1 || string(get.Kvs[0].Value) != "1" {
			t.Errorf("after a restore: %v, %v", get, err)
		}
		for _, c := range []struct {
			backup etcdmem.AnyBackup
			text   string
		}{
			{(*etcdtest.Backup)(nil), "the backup is a *etcdtest.Backup, and that of this cluster is a *etcdmem.Backup"},
			{nil, "the backup is a <nil>"},
		} {
			if err := cluster.Restore(t.Context(), c.backup); err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("Restore of a %T returned %v; want %q", c.backup, err, c.text)
			}
		}
		if err := another.Restore(t.Context(), backup); err == nil {
			t.Error("the backup of another cluster was restored")
		}
	})
}
