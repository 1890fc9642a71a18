package etcd_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// TestConformanceInMemory runs the configurations that need no real member.
func TestConformance(t *testing.T) {
	leaktest.Check(t)
	members := 3
	if testing.Short() {
		members = 1
	}
	one := func() conformance.Backend { // two share the checks, because a check mostly waits for its cluster
		return backend(realCluster{etcdtest.Start(t, members, bookmarksOften)}, direct)
	}
	conformance.Run(t, one(), one())
}

// The suite needs bookmarks. By default etcd sends them only every ten minutes.
var bookmarksOften = etcdtest.WithConfig(func(_ int, cfg *embed.Config) {
	cfg.WatchProgressNotifyInterval = 100 * time.Millisecond
})

// member is a store and the network of its client.
type member struct {
	*etcd.Store
	client  *clientv3.Client
	network *network
}

// reconnect heals the network and waits until the client works again. The client uses a broken connection until it notices that the
// connection is broken. So reconnect first waits until the client has closed each broken connection: a read would test only one of them.
func (m member) reconnect(ctx context.Context) error {
	if err := m.network.noticed(ctx); err != nil {
		return err
	}
	m.network.heal()
	for {
		if _, err := m.client.Get(ctx, "any"); err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// cluster is a real cluster, or one in memory.
type cluster interface {
	ClientConfig(members ...int) clientv3.Config
	Compact(ctx context.Context, rev int64) error
	Size() int
	WaitWatchers(ctx context.Context, member, n int) error

	dial(ctx context.Context, address string) (net.Conn, error)
	backup(ctx context.Context) (restore func(context.Context) error, err error)
}

type realCluster struct{ *etcdtest.Cluster }

func (c realCluster) dial(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(address, "unix:"))
}

func (c realCluster) backup(ctx context.Context) (restore func(context.Context) error, err error) {
	backup, err := c.Backup(ctx)
	return func(ctx context.Context) error { return c.Restore(ctx, backup) }, err
}

// backend gives every store its own client and network. All use one cluster.
func backend(cluster cluster, connect func(*clientv3.Client) etcd.Client) conformance.Backend {
	type store = conformance.Store
	open := func(t conformance.T) store {
		n := newNetwork(cluster.dial)
		cfg := cluster.ClientConfig()
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithContextDialer(n.dial))
		client, err := clientv3.New(cfg)
		if err != nil {
			t.Fatalf("%v", err)
		}
		t.Cleanup(func() {
			if err := client.Close(); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
		// Small, so that many pages are read and buffers run over.
		return member{etcd.New(connect(client), etcd.WithPageSize(200), etcd.WithBuffer(256<<10)), client, n}
	}
	return conformance.Backend{
		Open:    open,
		Again:   func(t conformance.T, _ store) store { return open(t) },
		Commit:  true,
		Compact: func(ctx context.Context, _ store, rev kv.Revision) error { return cluster.Compact(ctx, int64(rev)) },
		// They come by themselves.
		Progress: func(context.Context, store) error { return nil },
		Cut: func(_ context.Context, s store) (func(context.Context) error, error) {
			s.(member).network.cut()
			return s.(member).reconnect, nil
		},
		EndStreams: func(ctx context.Context, s store) error {
			s.(member).network.cut()
			return s.(member).reconnect(ctx)
		},
		Backup: func(ctx context.Context, _ store) (func(context.Context) error, error) { return cluster.backup(ctx) },
		WaitIdle: func(ctx context.Context, _ store) error {
			for i := range cluster.Size() {
				if err := cluster.WaitWatchers(ctx, i, 0); err != nil {
					return err
				}
			}
			return nil
		},
		Close:    func(s store) error { return s.(member).client.Close() },
		TooLarge: 1700 << 10,
	}
}

func direct(client *clientv3.Client) etcd.Client { return client }

// inNamespace puts a client into a namespace in the way that etcd's documentation shows.
func inNamespace(client *clientv3.Client) etcd.Client {
	client.KV = namespace.NewKV(client.KV, "/app/")
	client.Watcher = &ordered{Watcher: namespace.NewWatcher(client.Watcher, "/app/"), inner: client.Watcher}
	return client
}

// ordered lets no watch begin while a Watcher in a namespace is being closed. The Watcher counts its watches with a sync.WaitGroup, and its
// Close waits for that group. The race detector reports a watch that is added during the wait.
type ordered struct {
	clientv3.Watcher
	inner     clientv3.Watcher // Watcher wraps it
	beginning sync.RWMutex
}

func (o *ordered) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	o.beginning.RLock()
	defer o.beginning.RUnlock()
	return o.Watcher.Watch(ctx, key, opts...)
}

func (o *ordered) Close() error {
	err := o.inner.Close() // ends the calls that begin watches
	o.beginning.Lock()
	defer o.beginning.Unlock()
	return errors.Join(err, o.Watcher.Close())
}

// network is how one client reaches the cluster. It can be cut.
type network struct {
	connect func(ctx context.Context, address string) (net.Conn, error)

	mu     sync.Mutex
	down   bool
	conns  []*cuttable
	broken []*cuttable // broken by a cut
}

// cuttable is a connection that reports when the client has closed it.
type cuttable struct {
	net.Conn
	closed chan struct{} // closed when the client closes the connection
	close  func()
}

func (c *cuttable) Close() error {
	c.close()
	return c.Conn.Close()
}

func newNetwork(connect func(context.Context, string) (net.Conn, error)) *network {
	return &network{connect: connect}
}

var errDown = errors.New("the network is down")

func (n *network) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := n.connect(ctx, address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		conn.Close()
		return nil, errDown
	}
	l := &cuttable{Conn: conn, closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	n.conns = append(n.conns, l)
	return l, nil
}

func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for _, l := range n.conns {
		l.Conn.Close()
	}
	n.broken, n.conns = append(n.broken, n.conns...), nil
}

// noticed waits until the client has closed each connection that a cut has broken.
func (n *network) noticed(ctx context.Context) error {
	n.mu.Lock()
	broken := n.broken
	n.mu.Unlock()
	for _, l := range broken {
		select {
		case <-l.closed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}
