package etcdmem

import (
	"context"
	"fmt"
	"net"

	"github.com/watchkv/watchkv/kv/etcd/internal/testclient"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Client returns a new client of the given members, or of all if none is given. It connects to no other member. It is closed
// with the cluster, or earlier by the caller.
//
// It panics if there is no such member or if the cluster is closed.
func (c *Cluster) Client(members ...int) *clientv3.Client {
	client, err := clientv3.New(c.ClientConfig(members...))
	if err != nil {
		// Nothing is sent to make a client that has no user, so this is not about the state of the cluster.
		panic(fmt.Errorf("etcdmem: make a client: %w", err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		client.Close()
		panic(fmt.Errorf("etcdmem: make a client: %w", errClosed))
	}
	c.clients = append(c.clients, client)
	return client
}

// ClientConfig returns the configuration of [Cluster.Client]. Change it as needed and pass it to [clientv3.New]. The caller
// closes the client. The client logs nothing, finds a restarted member within a few hundredths of a second, and connects
// through [Cluster.Network]: keep its DialOptions when you add others.
func (c *Cluster) ClientConfig(members ...int) clientv3.Config {
	c.mu.Lock()
	host := fmt.Sprintf("client%d", c.hosts)
	c.hosts++
	c.mu.Unlock()
	return testclient.Config(c.Endpoints(members...), func(ctx context.Context, address string) (net.Conn, error) {
		return c.network.inner.Dial(ctx, host, address)
	})
}

// Endpoints returns the addresses of the given members, or of all if none is given, in the form that clientv3 takes. They
// mean something only to clients that dial through [Cluster.Network].
func (c *Cluster) Endpoints(members ...int) []string {
	members = c.chosen(members)
	endpoints := make([]string, len(members))
	for n, i := range members {
		endpoints[n] = "http://" + address(i)
	}
	return endpoints
}
