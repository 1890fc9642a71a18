package etcd_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func TestConformanceInMemory(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) conformance.Backend{
		"three members": func(t *testing.T) conformance.Backend {
			return backend(startInMemory(t, 3), direct)
		},
		"one member, a user, in a namespace": func(t *testing.T) conformance.Backend {
			cluster := startInMemory(t, 1)
			newGuarded(t, etcdmem.Any(cluster.Cluster))
			return backend(asReader{cluster}, inNamespace)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name == "three members" {
				t.Skip("in a short run, the real member and one in memory are enough")
			}
			synctest.Test(t, func(t *testing.T) {
				if err := conformance.Check(t.Context(), start(t)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

type memoryCluster struct{ *etcdmem.Cluster }

func startInMemory(t *testing.T, members int) memoryCluster {
	return memoryCluster{etcdmem.Start(t, members, etcdmem.WithProgressInterval(100*time.Millisecond))}
}

func (c memoryCluster) dial(ctx context.Context, address string) (net.Conn, error) {
	return c.Network().Dial(ctx, address)
}

func (c memoryCluster) backup(ctx context.Context) (restore func(context.Context) error, err error) {
	backup, err := c.Backup(ctx)
	return func(ctx context.Context) error { return c.Restore(ctx, backup) }, err
}

// asReader is a guarded cluster. Its clients log in as the user that may use the namespace and nothing else.
type asReader struct{ memoryCluster }

func (c asReader) ClientConfig(members ...int) clientv3.Config {
	config := c.memoryCluster.ClientConfig(members...)
	config.Username, config.Password = "reader", "secret"
	return config
}
