package etcdtest

import (
	"fmt"

	"github.com/watchkv/watchkv/kv/etcd/internal/testclient"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// Client returns a new client of the given members, or of all if none is given. It connects to no other member. The cluster closes
// it in Close. The caller may close it earlier.
//
// It panics if there is no such member or if the cluster is closed.
func (c *Cluster) Client(members ...int) *clientv3.Client {
	client, err := clientv3.New(c.ClientConfig(members...))
	if err != nil {
		// Making a client without a user sends nothing. So this error cannot come from the state of the cluster.
		panic(fmt.Errorf("etcdtest: make a client: %w", err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		client.Close()
		panic(fmt.Errorf("etcdtest: make a client: %w", errClosed))
	}
	c.clients = append(c.clients, client)
	return client
}

// ClientConfig returns the configuration of [Cluster.Client]. Change it as needed and pass it to [clientv3.New]. The caller
// closes the client. The client logs nothing, and finds a restarted member within a few hundredths of a second. It connects
// through [Cluster.Network]: keep the DialOptions when you add others.
func (c *Cluster) ClientConfig(members ...int) clientv3.Config {
	config := testclient.Config(c.Endpoints(members...))
	config.DialOptions = append(config.DialOptions, grpc.WithContextDialer(c.network.Dial))
	return config
}

// Endpoints returns the addresses of the given members, or of all if none is given, in the form that clientv3 expects. They
// stay the same until the cluster is closed.
func (c *Cluster) Endpoints(members ...int) []string {
	members = c.chosen(members)
	endpoints := make([]string, len(members))
	for n, i := range members {
		u := c.members[i].clientURL()
		endpoints[n] = u.String()
	}
	return endpoints
}
