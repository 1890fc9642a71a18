package etcd_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

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

// A client may be replaced in part, and what replaces it may have a bug. A panic in a goroutine of the Store would end the program.
func TestAClientThatReturnsNothingIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := etcd.New(&fake{
			get:   func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) { return nil, nil },
			txn:   func(context.Context, []clientv3.Op) (*clientv3.TxnResponse, error) { return nil, nil },
			watch: func(context.Context, clientv3.Op) clientv3.WatchChan { return nil },
		})
		ctx := within(t, time.Minute)
		for name, call := range map[string]func() error{
			"get":              func() error { _, err := store.Get(ctx, kv.Key("k")); return err },
			"get of a range":   func() error { _, err := store.Get(ctx, kv.All()); return err },
			"stat":             func() error { _, err := store.Stat(ctx, kv.Key("k")); return err },
			"summarize":        func() error { _, err := store.Summarize(ctx, kv.All(), 1, 1); return err },
			"put":              func() error { _, err := store.Put(ctx, "k", nil); return err },
			"delete":           func() error { _, err := store.Delete(ctx, "k"); return err },
			"commit":           func() error { _, err := store.Commit(ctx, kv.PutOp("k", nil)); return err },
			"commit of no ops": func() error { _, err := store.Commit(ctx); return err },
			"watch": func() (err error) {
				for _, err = range store.Watch(ctx, kv.All(), 1) {
				}
				return err
			},
		} {
			func() {
				defer func() {
					if p := recover(); p != nil {
						t.Errorf("%s panicked: %v", name, p)
					}
				}()
				if err := call(); !errors.Is(err, kv.ErrUnavailable) {
					t.Errorf("%s: %v, want %v", name, err, kv.ErrUnavailable)
				}
			}()
		}
	})
}
