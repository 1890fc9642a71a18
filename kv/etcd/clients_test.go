package etcd_test

import (
	"context"
	"errors"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func namespaced(client *clientv3.Client, prefix string) etcd.Client {
	return struct {
		clientv3.KV
		clientv3.Watcher
	}{namespace.NewKV(client, prefix), namespace.NewWatcher(client, prefix)}
}

// onPlainAndNamespace runs a test on clusters of one member, with a client and with a client in a namespace.
func onPlainAndNamespace(t *testing.T, test func(t *testing.T, cluster etcdmem.AnyCluster, client etcd.Client)) {
	for name, wrap := range map[string]func(*clientv3.Client) etcd.Client{
		"plain":     func(c *clientv3.Client) etcd.Client { return c },
		"namespace": func(c *clientv3.Client) etcd.Client { return namespaced(c, "/space/") },
	} {
		t.Run(name, func(t *testing.T) {
			onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) { test(t, cluster, wrap(cluster.Client())) })
		})
	}
}

func TestAStoreWithoutAClientReturnsAnError(t *testing.T) {
	var none *clientv3.Client
	for name, client := range map[string]etcd.Client{
		"nil":             nil,
		"a nil client":    none,
		"an empty client": &clientv3.Client{},
		"an empty struct": struct {
			clientv3.KV
			clientv3.Watcher
		}{},
	} {
		t.Run(name, func(t *testing.T) {
			store := etcd.New(client)
			_, get := store.Get(context.Background(), kv.All())
			_, put := store.Put(context.Background(), "k", nil)
			for _, err := range store.Watch(context.Background(), kv.All(), 0) {
				if !errors.Is(err, kv.ErrClosed) || !errors.Is(get, kv.ErrClosed) || !errors.Is(put, kv.ErrClosed) {
					t.Errorf("watch: %v, get: %v, put: %v, want %v of each", err, get, put, kv.ErrClosed)
				}
			}
		})
	}
}
