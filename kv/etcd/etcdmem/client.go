package etcdmem

import (
	"context"
	"fmt"
	"net"

	"github.com/watchkv/watchkv/kv/etcd/internal/testclient"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
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
// with [Cluster.DialOptions]: keep its DialOptions when you add others.
func (c *Cluster) ClientConfig(members ...int) clientv3.Config {
	config := testclient.Config(c.Endpoints(members...))
	config.DialOptions = append(config.DialOptions, c.DialOptions()...)
	return config
}

// DialOptions returns the options with which a client that a program configures itself reaches the members. Append them to the
// client's DialOptions, and give the client [Cluster.Endpoints]. The client connects through [Cluster.Network], as a separate host. In a bubble, gRPC
// could hold a mutex while it waits for a connection, and then the bubble's time would not pass. The options prevent that too. So do not
// replace them by a dialer: append the dialer after them.
func (c *Cluster) DialOptions() []grpc.DialOption {
	c.mu.Lock()
	host := fmt.Sprintf("client%d", c.hosts)
	c.hosts++
	c.mu.Unlock()
	return []grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return c.network.inner.Dial(ctx, host, address)
		}),
		grpc.WithChainStreamInterceptor(openOnce),
	}
}

// openOnce prevents that gRPC opens a stream of a watch or of a lease again, if its connection ends before the member has seen the stream.
// etcd's client opens another stream. To open one again, gRPC holds a mutex of the stream until it has a connection. Another request of the
// stream then waits for the mutex. While a goroutine waits for a mutex, the time of a bubble does not pass, and so no connection is made.
func openOnce(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, opts...)
	if err == nil && desc.ClientStreams && desc.ServerStreams {
		stream.Context() // which ends retries, as its documentation says
	}
	return stream, err
}

// Endpoints returns the addresses of the given members, or of all if none is given, in the form that clientv3 takes.
// Only clients that dial through [Cluster.Network] can use them.
func (c *Cluster) Endpoints(members ...int) []string {
	members = c.chosen(members)
	endpoints := make([]string, len(members))
	for n, i := range members {
		endpoints[n] = "http://" + address(i)
	}
	return endpoints
}
