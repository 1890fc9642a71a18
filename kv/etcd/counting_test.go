package etcd_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// counting is a cluster in memory. It counts what the clients that its method client returns do.
type counting struct {
	*etcdmem.Cluster
	t     *testing.T
	dials atomic.Int64 // attempts to connect
	reads atomic.Int64 // since the last Swap
	away  atomic.Bool  // whether attempts to connect fail
}

var errAway = errors.New("the network is away")

func newCounting(t *testing.T, members int) *counting {
	return &counting{Cluster: etcdmem.Start(t, members), t: t}
}

// client returns a client as programs make it. The clients that the cluster makes reconnect sooner.
func (c *counting) client(configure func(clientv3.Config) clientv3.Config, members ...int) *clientv3.Client {
	client := must(clientv3.New(configure(clientv3.Config{
		Endpoints: c.Endpoints(members...), Logger: zap.NewNop(),
		DialOptions: append(c.DialOptions(),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				c.dials.Add(1)
				if c.away.Load() {
					return nil, errAway
				}
				return c.Network().Dial(ctx, address)
			}),
			grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				if method == "/etcdserverpb.KV/Range" {
					c.reads.Add(1)
				}
				return invoke(ctx, method, req, reply, cc, opts...)
			}),
		),
	})))(c.t)
	c.t.Cleanup(func() { client.Close() })
	return client
}

// put changes the key "k" as another program does. It closes its client afterwards: during an outage an open client would keep trying to
// connect.
func (c *counting) put() kv.Revision {
	client := must(clientv3.New(c.ClientConfig()))(c.t)
	defer client.Close()
	return must(etcd.New(client).Put(c.t.Context(), "k", nil))(c.t)
}

// start starts the members that are stopped.
func (c *counting) start() {
	if err := c.Restart(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// startAgain stops and starts the members n times.
func (c *counting) startAgain(n int) {
	for range n {
		c.Stop()
		c.start()
	}
}

// backup and restore take the cluster back to an old state. It keeps its identity.
func (c *counting) backup() *etcdmem.Backup {
	return must(c.Backup(c.t.Context()))(c.t)
}

func (c *counting) restore(b *etcdmem.Backup) {
	if err := c.Restore(c.t.Context(), b); err != nil {
		c.t.Fatal(err)
	}
}

// term returns the raft term that an answer names.
func (c *counting) term() uint64 {
	client := must(clientv3.New(c.ClientConfig()))(c.t)
	defer client.Close()
	return must(client.Get(c.t.Context(), "k"))(c.t).Header.RaftTerm
}
