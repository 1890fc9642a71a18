package etcdmem

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/members"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/network"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

// A Cluster is an etcd cluster in memory, with a network between it and its clients. Make one with [Start] or [New]. All
// methods may be called concurrently. Those that start or stop members take turns.
type Cluster struct {
	options options
	network *Network
	size    int

	addresses  []string       // TCP, by member; "" for none
	turn       sync.Mutex     // held while members are started or stopped
	generation int            // guarded by turn, as is tcp: how often the cluster was replaced
	tcp        []net.Listener // by member: at which it has yet to serve

	mu      sync.Mutex
	closed  bool
	members *members.Cluster
	state   *server.State
	nodes   []*node // the processes of the members; nil for those that are stopped
	cuts    map[[2]int]bool
	clients []*clientv3.Client
	hosts   int // of clients, so far
}

// node is a member's process.
type node struct {
	server  *server.Server
	member  *members.Member
	stopped chan struct{}
	serving sync.WaitGroup
}

var errClosed = errors.New("the cluster is closed")

// Start starts a cluster of that many members, which serve clients when it returns. It is closed when the test ends. In a
// synctest bubble it must be started in the bubble.
func Start(t testing.TB, members int, opts ...Option) *Cluster {
	t.Helper()
	c, err := New(members, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// New starts a cluster as [Start] does. The caller must close it.
func New(members int, opts ...Option) (*Cluster, error) {
	if members < 1 {
		return nil, fmt.Errorf("etcdmem: start %d members: there must be one at least", members)
	}
	c := &Cluster{size: members, cuts: make(map[[2]int]bool)}
	c.options.setDefaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&c.options)
		}
	}
	c.options.server.LeaseIDs = new(server.LeaseIDs)
	c.network = &Network{cluster: c, inner: network.New(c.options.seed)}
	c.turn.Lock()
	defer c.turn.Unlock()
	if err := c.listenTCP(); err != nil {
		c.closeTCP()
		return nil, fmt.Errorf("etcdmem: start %d members: %w", members, err)
	}
	c.begin(c.newMembers(), server.NewState(c.options.revision))
	for i := range c.size {
		if err := c.launch(i); err != nil {
			return nil, errors.Join(fmt.Errorf("etcdmem: start %d members: %w", members, err), c.close())
		}
	}
	return c, nil
}

// begin replaces the members of the cluster. None of the new ones has a process. The caller holds turn.
func (c *Cluster) begin(m *members.Cluster, state *server.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members, c.state = m, state
	c.nodes = make([]*node, c.size)
	for pair := range c.cuts {
		m.Cut(pair[0], pair[1])
	}
}

// newMembers returns the members of a new cluster, with an identity that no cluster of this object had before. The caller
// holds turn.
func (c *Cluster) newMembers() *members.Cluster {
	identity := func(what string) uint64 {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d/%d/%s", c.options.seed, c.generation, what)
		return h.Sum64()
	}
	infos := make([]server.MemberInfo, c.size)
	for i := range infos {
		infos[i] = server.MemberInfo{
			ID:         identity(name(i)),
			Name:       name(i),
			PeerURLs:   []string{fmt.Sprintf("http://%s:2380", name(i))},
			ClientURLs: []string{c.clientURL(i)},
		}
	}
	return members.New(members.Config{
		ClusterID: identity("cluster"),
		Members:   infos,
		Seed:      c.options.seed + uint64(c.generation),
		Heartbeat: c.options.heartbeat,
		Election:  c.options.server.ElectionTimeout,
	})
}

func name(member int) string    { return fmt.Sprintf("etcd%d", member) }
func address(member int) string { return name(member) + ":2379" }

// Close stops all members and closes the clients that Client made. When it returns, nothing of the cluster runs. A second
// Close does nothing.
func (c *Cluster) Close() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.close()
}

func (c *Cluster) close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	clients := c.clients
	c.clients = nil
	c.mu.Unlock()
	for _, client := range clients {
		client.Close() // it may have been closed by the caller, which is an error here
	}
	for i := range c.size {
		c.stop(i)
	}
	c.members.Close()
	c.network.inner.Close()
	c.closeTCP()
	return nil
}

// Size returns the number of members, running or not.
func (c *Cluster) Size() int { return c.size }

// chosen returns the given members, or all if none is given. It panics if a member does not exist.
func (c *Cluster) chosen(members []int) []int {
	all := make([]int, c.size)
	for i := range all {
		all[i] = i
	}
	if len(members) == 0 {
		return all
	}
	for _, i := range members {
		_ = all[i]
	}
	return members
}

// inTurn calls f, which starts or stops members, when nothing else does so, unless the cluster is closed.
func (c *Cluster) inTurn(f func() error) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return errClosed
	}
	return f()
}

// now returns the cluster's current members. [Cluster.Restore] and [Cluster.Replace] change them.
func (c *Cluster) now() *members.Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members
}

// node returns the process of a member, or nil if it is stopped.
func (c *Cluster) node(i int) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[i]
}

// WaitLeader waits until the cluster has a leader in the sense of [Cluster.Leader], and returns it.
func (c *Cluster) WaitLeader(ctx context.Context) (int, error) {
	_, leader, err := c.waitLeader(ctx)
	if err != nil {
		return 0, fmt.Errorf("etcdmem: wait for a leader: %w", err)
	}
	return leader, nil
}

// waitLeader waits for a leader of the members that the cluster has, and returns both.
func (c *Cluster) waitLeader(ctx context.Context) (*members.Cluster, int, error) {
	for {
		m := c.now()
		leader, err := m.WaitLeader(ctx)
		if err == nil || ctx.Err() != nil {
			return m, leader, err
		}
		// These members are gone: they were replaced, or the cluster is closed.
		if closed := c.inTurn(func() error { return nil }); closed != nil {
			return nil, 0, closed
		}
		if c.now() == m {
			return nil, 0, err
		}
	}
}

// Leader returns the member that leads now: a majority of members run, are not frozen, can reach each other, and all agree on
// it. It returns false when there is none, for example during an election.
func (c *Cluster) Leader() (member int, ok bool) { return c.now().Leader() }

// MoveLeader makes the given member the leader, and returns when all members know that. If the member leads already,
// MoveLeader does nothing. It tries until ctx ends: it cannot succeed while that member is stopped or cut off.
func (c *Cluster) MoveLeader(ctx context.Context, to int) error {
	for {
		m, leader, err := c.waitLeader(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("etcdmem: move the leader to member %d: %w", to, err)
		case leader == to:
			return nil
		}
		// A leader gives up a transfer that takes longer than an election, without an answer.
		try, cancel := context.WithTimeout(ctx, 2*c.options.server.ElectionTimeout)
		err = m.Member(leader).MoveLeader(try, m.Member(to).ID())
		cancel()
		if ctx.Err() != nil {
			return fmt.Errorf("etcdmem: move the leader to member %d: %w", to, errors.Join(ctx.Err(), err))
		}
	}
}

// Partition separates the given members from all others: no message passes between the two sides, in either direction, until
// [Cluster.Heal]. Messages within each side, and between members and clients, still pass. Partitions add up. They survive
// restarts of the members, also those of Restore and Replace.
func (c *Cluster) Partition(members ...int) {
	if len(members) == 0 {
		return
	}
	inside := make(map[int]bool)
	for _, i := range c.chosen(members) {
		inside[i] = true
	}
	c.mu.Lock()
	for a := range inside {
		for b := range c.size {
			if !inside[b] {
				c.cuts[[2]int{a, b}] = true
			}
		}
	}
	m := c.members
	cuts := make([][2]int, 0, len(c.cuts))
	for pair := range c.cuts {
		cuts = append(cuts, pair)
	}
	c.mu.Unlock()
	for _, pair := range cuts {
		m.Cut(pair[0], pair[1])
	}
}

// Heal ends all partitions.
func (c *Cluster) Heal() {
	c.mu.Lock()
	clear(c.cuts)
	m := c.members
	c.mu.Unlock()
	for a := range c.size {
		for b := range a {
			m.Mend(a, b)
		}
	}
}

// Freeze suspends the processes of the given members, or of all if none is given, like a machine that has run out of memory.
// Connections to them stay open, and nothing answers. It always returns nil.
func (c *Cluster) Freeze(members ...int) error {
	m := c.now()
	for _, i := range c.chosen(members) {
		c.network.inner.Freeze(address(i))
		m.Freeze(i)
	}
	return nil
}

// Thaw resumes the given frozen members, or all if none is given. It always returns nil.
func (c *Cluster) Thaw(members ...int) error {
	m := c.now()
	for _, i := range c.chosen(members) {
		m.Thaw(i)
		c.network.inner.Thaw(address(i))
	}
	return nil
}
