package etcd_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// The same suite passes on etcd in memory, in a bubble.
func TestConformanceInMemory(t *testing.T) {
	for _, c := range []struct {
		name    string
		members int
		connect func(*clientv3.Client) etcd.Client
	}{
		{"one member", 1, direct},
		{"three members", 3, direct},
		{"in a namespace", 1, inNamespace},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name != "in a namespace" {
				t.Skip("in a short run, the real member and this are enough")
			}
			synctest.Test(t, func(t *testing.T) {
				cluster := etcdmem.Start(t, c.members, etcdmem.WithProgressInterval(100*time.Millisecond))
				if err := conformance.Check(t.Context(), backend(memoryCluster{cluster}, c.connect)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

type memoryCluster struct{ *etcdmem.Cluster }

func (c memoryCluster) dial(ctx context.Context, address string) (net.Conn, error) {
	return c.Network().Dial(ctx, address)
}

func (c memoryCluster) backup(ctx context.Context) (restore func(context.Context) error, err error) {
	backup, err := c.Backup(ctx)
	return func(ctx context.Context) error { return c.Restore(ctx, backup) }, err
}
