// Package etcdmem is etcd in memory.
package etcdmem

import (
	"context"
	"net"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/network"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

// Cluster is a cluster.
type Cluster struct {
	network *network.Network
	server  *server.Server
	serving sync.WaitGroup
	clients []*clientv3.Client
}

// Start starts a cluster.
func Start(t testing.TB, members int) *Cluster {
	t.Helper()
	c := &Cluster{network: network.New(1)}
	m := &single{info: server.MemberInfo{ID: 1, Name: "m0", ClientURLs: []string{"http://m0:2379"}}}
	c.server = server.New(server.NewState(), m, server.Config{})
	l, err := c.network.Listen("m0:2379")
	if err != nil {
		t.Fatal(err)
	}
	c.serving.Go(func() { c.server.Serve(l) })
	t.Cleanup(c.Close)
	return c
}

// Client returns a client.
func (c *Cluster) Client() *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://m0:2379"},
		Logger:    zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				return c.network.Dial(ctx, "client", address)
			}),
		},
	})
	if err != nil {
		panic(err)
	}
	c.clients = append(c.clients, client)
	return client
}

// Close closes.
func (c *Cluster) Close() {
	for _, client := range c.clients {
		client.Close()
	}
	c.server.Stop()
	c.serving.Wait()
}
