package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// startTimeout limits how long a new cluster may take until every member serves. It is reached only if something is broken, or
// if the machine is badly overloaded.
const startTimeout = time.Minute

// A Cluster is an etcd cluster whose members run in this process, or in separate ones: see [WithProcesses]. Make one with
// [Start] or [New].
type Cluster struct {
	dir       string // has everything on disk: data, sockets, backups
	members   []*member
	configure []func(member int, cfg *embed.Config)
	processes bool // each member has a separate process
	proxied   bool // each member has a proxy
	logs      *logs
	network   *Network

	// An operation that starts or stops members holds turn. So such operations do not overlap. turn is locked before mu.
	turn       sync.Mutex
	generation int // part of the cluster's name; Replace increments it
	backups    int // number of backups, for the names of their directories

	mu      sync.Mutex
	closed  bool
	cuts    map[link]bool // pairs of members that cannot reach each other
	changed chan struct{} // closed and replaced when a member starts or stops or a link is cut or mended
	clients []*clientv3.Client
	deaths  []error // from servers that have ended by themselves
}

// errClosed is the cause of each error after Close.
var errClosed = errors.New("the cluster is closed")

// An Option changes how a cluster is started.
type Option func(*Cluster)

// WithConfig lets f change a member's configuration each time before the member is started. f must not change the name,
// directory, addresses, initial cluster and cluster token. It may add listening addresses. If there are several such
// options, each sees the changes of those before it.
func WithConfig(f func(member int, cfg *embed.Config)) Option {
	return func(c *Cluster) { c.configure = append(c.configure, f) }
}

// Start starts a cluster of that many members and returns when all of them serve clients. If it cannot, it fails the test at
// once. When the test ends, Start closes the cluster and the clients that the cluster made. If the test has failed, it shows the end of the
// servers' logs. go test -v shows all of the logs.
func Start(t testing.TB, members int, opts ...Option) *Cluster {
	t.Helper()
	c, err := start(t.Context(), members, opts)
	if err != nil {
		t.Fatalf("%v\n%s", err, c.Logs())
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			logs := c.Logs()
			if !testing.Verbose() {
				logs = lastLines(logs, 50)
			}
			t.Logf("etcd's logs:\n%s", logs)
		}
	})
	return c
}

// New starts a cluster of that many members and returns when all of them serve clients. The caller must close it. In a test,
// [Start] is easier.
func New(members int, opts ...Option) (*Cluster, error) {
	c, err := start(context.Background(), members, opts)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// start returns a Cluster even with an error, so that the caller has its logs. All members are stopped then.
func start(ctx context.Context, members int, opts []Option) (*Cluster, error) {
	c := &Cluster{
		logs:    new(logs),
		network: newNetwork(),
		cuts:    make(map[link]bool),
		changed: make(chan struct{}),
	}
	if members < 1 {
		return c, fmt.Errorf("etcdtest: start %d members: there must be at least one", members)
	}
	for _, opt := range opts {
		opt(c)
	}
	if err := c.validate(); err != nil {
		return c, fmt.Errorf("etcdtest: start %d members: %w", members, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.create(ctx, members); err != nil {
		return c, errors.Join(fmt.Errorf("etcdtest: start %d members: %w", members, err), c.Close())
	}
	return c, nil
}

// validate returns an error if the options contradict each other.
func (c *Cluster) validate() error {
	switch {
	case !c.processes:
		return nil
	case !runMemberCalled.Load():
		return errNoRunMember // without RunMember, the processes would do all the work of this program again
	case len(c.configure) > 0:
		return errors.New("WithConfig cannot be combined with WithProcesses")
	}
	return nil
}

func (c *Cluster) create(ctx context.Context, members int) (err error) {
	if c.dir, err = makeDir(); err != nil {
		return err
	}
	for i := range members {
		peers, err := c.holdPeerAddress()
		if err != nil {
			return err
		}
		m := &member{
			name:   fmt.Sprintf("m%d", i),
			dir:    filepath.Join(c.dir, fmt.Sprint(i)),
			socket: filepath.Join(c.dir, fmt.Sprintf("%d.sock", i)),
			peers:  peers,
		}
		c.members = append(c.members, m)
		r := c.network.add(m.socket)
		if c.proxied {
			if m.proxy, err = startProxy(c.network, r); err != nil {
				return err
			}
		}
	}
	return c.restart(ctx, c.all())
}

func (c *Cluster) holdPeerAddress() (peerAddress, error) {
	if c.processes {
		return reservePort()
	}
	return listenForPeers()
}

// makeDir makes the directory for a cluster. Its path is short enough for a socket in it: the path of a unix socket is limited to some
// 100 bytes, and the path of the usual temporary directory may be longer.
func makeDir() (string, error) {
	const longest = 80
	dir, err := os.MkdirTemp("", "etcdtest-")
	if err != nil || len(dir) <= longest {
		return dir, err
	}
	if err := os.Remove(dir); err != nil {
		return "", err
	}
	return os.MkdirTemp("/tmp", "etcdtest-")
}

// Close stops all members, closes the clients that Client made, and removes the data. When it returns, no server runs. A
// connection between two servers may take a moment to notice that both its ends are closed. Close returns an error if the
// process of a member has ended without Stop or Close. A second Close does nothing.
func (c *Cluster) Close() error {
	c.turn.Lock()
	defer c.turn.Unlock()

	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	clients := c.clients
	c.clients = nil
	c.announce()
	c.mu.Unlock()

	c.network.close() // first, because a client may be waiting for bytes that the network holds
	var errs []error
	for _, client := range clients {
		if err := client.Close(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	c.stop(c.all())
	c.mu.Lock()
	errs = append(errs, c.deaths...)
	c.mu.Unlock()
	for _, m := range c.members {
		errs = append(errs, m.peers.close())
		if m.proxy != nil {
			errs = append(errs, m.proxy.close())
		}
	}
	if c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("etcdtest: close: %w", err)
	}
	return nil
}

// Size returns the number of members, running or not.
func (c *Cluster) Size() int { return len(c.members) }

// Member returns the server of the given member, or nil if the member is stopped or has a separate process. Use it for what
// this package does not offer. Stop the member only with [Cluster.Stop]. After a restart the member has a new server.
func (c *Cluster) Member(member int) *embed.Etcd {
	c.mu.Lock()
	defer c.mu.Unlock()
	if local, ok := c.members[member].server.(*localServer); ok {
		return local.etcd
	}
	return nil
}

// Logs returns the servers' logs, oldest first. If the logs are very long, only the end is kept.
func (c *Cluster) Logs() string { return c.logs.String() }

// all returns the numbers of all members.
func (c *Cluster) all() []int {
	all := make([]int, len(c.members))
	for i := range all {
		all[i] = i
	}
	return all
}

// chosen returns the given members, or all if none is given. It panics if there is no such member, like an index out of range.
func (c *Cluster) chosen(members []int) []int {
	if len(members) == 0 {
		return c.all()
	}
	for _, i := range members {
		_ = c.members[i]
	}
	return members
}

// initialCluster returns the list of all members in the form that etcd requires for a new cluster.
func (c *Cluster) initialCluster() string {
	var parts []string
	for _, m := range c.members {
		u := m.peers.url()
		parts = append(parts, m.name+"="+u.String())
	}
	return strings.Join(parts, ",")
}

// inTurn calls f, which may start or stop members, while it holds turn. If the cluster is closed, it returns an error instead.
func (c *Cluster) inTurn(f func() error) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.isClosed() {
		return errClosed
	}
	return f()
}

func (c *Cluster) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// announce notifies the callers of WaitLeader, which then check again. The caller holds mu.
func (c *Cluster) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}
