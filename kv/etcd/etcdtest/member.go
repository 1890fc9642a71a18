package etcdtest

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"go.etcd.io/etcd/client/pkg/v3/types"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest/internal/wire"
)

// A member is one place in the cluster: an identity, addresses and data that outlive the servers that run there
// one after the other.
type member struct {
	name    string
	dir     string // of the data
	socket  string // where it listens for clients
	proxy   *proxy // where clients connect, if not nil
	peers   peerAddress
	watches watchCount

	// The fields below are guarded by Cluster.mu.

	id     types.ID // in the cluster's present generation; stays when the member stops
	server server   // nil when the member is stopped
	frozen bool     // by Freeze
}

// A peerAddress is where other members reach a member. It is held for as long as the cluster lives, so that nobody
// else can be given its port; while no server runs as the member, connections to it are broken off.
type peerAddress interface {
	url() url.URL
	close() error
}

// listenURL is where a server that runs as m listens for clients.
func (m *member) listenURL() url.URL { return url.URL{Scheme: "unix", Path: m.socket} }

// clientURL is where clients connect.
func (m *member) clientURL() url.URL {
	if m.proxy != nil {
		return m.proxy.url()
	}
	return m.listenURL()
}

// started reports whether a server runs as m, frozen or not. One that has ended by itself does not. The caller holds
// Cluster.mu.
func (m *member) started() bool {
	if m.server == nil {
		return false
	}
	select {
	case <-m.server.stopped():
		return false
	default:
		return true
	}
}

// awake reports whether a server runs as m and is not frozen. The caller holds Cluster.mu.
func (m *member) awake() bool { return m.started() && !m.frozen }

func (c *Cluster) settings(i int) wire.Settings {
	m := c.members[i]
	listen, client, peer := m.listenURL(), m.clientURL(), m.peers.url()
	return wire.Settings{
		Name:           m.name,
		Dir:            m.dir,
		Listen:         &listen,
		Client:         &client,
		Peer:           &peer,
		InitialCluster: c.initialCluster(),
		Token:          fmt.Sprintf("etcdtest-%d", c.generation),
	}
}

// launch starts a server for each of members that is stopped. It does not wait until they serve, which may need
// members that are launched later. The caller holds turn.
func (c *Cluster) launch(members []int) error {
	// One after the other: each new member first asks those before it whether it is one of theirs already, and
	// those that are only half started would let it wait.
	for _, i := range members {
		c.mu.Lock()
		started := c.members[i].started()
		c.mu.Unlock()
		if started {
			continue
		}
		c.kill(i) // what is left of a server that has ended by itself
		if err := c.launchOne(i); err != nil {
			return fmt.Errorf("start member %d: %w", i, err)
		}
	}
	return nil
}

func (c *Cluster) launchOne(i int) error {
	server, err := c.startServer(i)
	if err != nil {
		return err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.members[i]
	m.id, m.server = server.id(), server
	// Before others can reach the new server, which knows nothing of the links that are cut.
	c.applyCuts()
	server.admit()
	c.announce()
	return nil
}

func (c *Cluster) startServer(i int) (server, error) {
	if c.processes {
		return c.startChild(i)
	}
	return c.startLocal(i)
}

// kill ends the server that runs as member i, if one does, without letting it hand over to others. The caller
// holds turn.
func (c *Cluster) kill(i int) {
	m := c.members[i]
	c.mu.Lock()
	server := m.server
	m.server, m.frozen = nil, false
	if server != nil {
		c.announce()
	}
	c.mu.Unlock()
	if server != nil {
		server.kill()
	}
}

// Stop ends the given members, all if none is given: their clients' connections break, a leader does not hand over,
// requests under way get no answer. A cluster [WithProcesses] kills them, with SIGKILL where there is one; otherwise
// they are ended as abruptly as can be done within a process. When it returns, clients that try to connect are
// refused; the data is kept for [Cluster.Restart]. Members that are stopped already stay so.
//
// If the leader is stopped, writes that reach the others before they have noticed are lost on the way to it, which their
// clients are told only after five seconds: etcd does not send them again. Where that is not what is tried, call
// [Cluster.WaitLeader] first.
func (c *Cluster) Stop(members ...int) {
	members = c.chosen(members)
	c.turn.Lock()
	defer c.turn.Unlock()
	c.stop(members)
}

// stop is Stop for callers that hold turn.
func (c *Cluster) stop(members []int) {
	var wg sync.WaitGroup
	for _, i := range members {
		wg.Go(func() { c.kill(i) })
	}
	wg.Wait()
}

// Restart starts the given members, all if none is given, on the data and addresses they had when they were stopped.
// It returns when they serve clients. Members that are running already are left alone, also frozen ones. What was
// cut by [Cluster.Partition] is still cut.
//
// A member can serve only once it has heard of a leader. One that is started where there can be none, because
// too few others are running or within reach, is started but not waited for: clients can connect to it, but get no
// answer until there is a leader, not even to serializable reads.
//
// A member begins to serve when a write of its own, with which it makes itself known, has gone through. If the leader
// is lost at that moment, the member tries again only after more than five seconds.
func (c *Cluster) Restart(ctx context.Context, members ...int) error {
	members = c.chosen(members)
	if err := c.restart(ctx, members); err != nil {
		return fmt.Errorf("etcdtest: restart members %v: %w", members, err)
	}
	return nil
}

func (c *Cluster) restart(ctx context.Context, members []int) error {
	err := c.inTurn(func() error { return c.launch(members) })
	if err != nil {
		return err
	}
	return c.waitReady(ctx, members)
}

// waitReady waits until those of members that can have a leader serve clients.
func (c *Cluster) waitReady(ctx context.Context, members []int) error {
	for _, i := range members {
		c.mu.Lock()
		server := c.members[i].server
		able := c.hasQuorum(i)
		c.mu.Unlock()
		if server == nil || !able {
			continue
		}
		select {
		case <-server.ready():
		case <-server.stopped():
			return fmt.Errorf("member %d has stopped", i)
		case <-ctx.Done():
			return fmt.Errorf("wait for member %d to serve: %w", i, ctx.Err())
		}
	}
	return nil
}
