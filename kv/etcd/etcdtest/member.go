package etcdtest

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"go.etcd.io/etcd/client/pkg/v3/types"

	"github.com/watchkv/watchkv/kv/etcd/etcdtest/internal/wire"
)

// A member is one place in the cluster, with an identity, addresses and data. Servers run there one after the other. The place outlives
// them.
type member struct {
	name    string
	dir     string // has the data
	socket  string // the path where the server listens for clients
	proxy   *proxy // where clients connect, if not nil
	peers   peerAddress
	watches watchCount

	// The fields below are guarded by Cluster.mu.

	id     types.ID // in this generation of the cluster; kept while the member is stopped
	server server   // nil when the member is stopped
	frozen bool     // set by Freeze
}

// A peerAddress is the address where other members reach a member. The cluster holds it until it is closed, so that no other program can
// get its port. While no server runs as the member, connections to the address are closed.
type peerAddress interface {
	url() url.URL
	close() error
}

// listenURL returns the URL where the server of m listens for clients.
func (m *member) listenURL() url.URL { return url.URL{Scheme: "unix", Path: m.socket} }

// clientURL returns the URL where clients connect.
func (m *member) clientURL() url.URL {
	if m.proxy != nil {
		return m.proxy.url()
	}
	return m.listenURL()
}

// started reports whether a server runs as m, frozen or not. A server that has ended by itself does not run. The caller holds
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

// launch starts a server for each stopped member of members. It does not wait until the servers serve, because that may need
// members that are launched later. The caller holds turn.
func (c *Cluster) launch(members []int) error {
	// The members start one after the other. A new member first asks the earlier members whether they know it. Members that are
	// still starting would delay that answer.
	for _, i := range members {
		c.mu.Lock()
		started := c.members[i].started()
		c.mu.Unlock()
		if started {
			continue
		}
		c.kill(i) // cleans up after a server that has ended by itself
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
	// The new server does not know which links are cut. So it must learn that before other members can reach it.
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

// kill ends the server of member i, if there is one, without a transfer of its leadership. The caller holds turn.
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

// Stop ends the given members, or all if none is given. The connections of their clients break, a leader does not transfer its
// leadership, and pending requests get no answer. In a cluster [WithProcesses], the processes are killed, with SIGKILL if the system has
// it. Otherwise the members end as abruptly as is possible within a process. When Stop returns, clients that try to connect are
// refused. The data is kept for [Cluster.Restart]. Stop does nothing to members that are stopped already.
//
// After the leader was stopped, the other members need a moment to notice. They forward the writes of that moment to the stopped leader, and
// etcd does not send them again. The clients get an error only after five seconds. To avoid that, call [Cluster.WaitLeader] before the
// write.
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

// Restart starts the given members, or all if none is given, with the data and addresses that they had when they were stopped.
// It returns when they serve clients. It does nothing to members that are running already, even if they are frozen. Links that
// [Cluster.Partition] has cut are still cut.
//
// A member can serve only after it has learned of a leader. If too few members run and can be reached for a leader, Restart starts
// the member but does not wait for it. Clients can connect to it, but get no answer until there is a leader, not even to
// serializable reads.
//
// A member begins to serve when its first write, which publishes its addresses, has succeeded. If the leader
// is lost at that moment, the member retries only after more than five seconds.
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

// waitReady waits until each of members that can have a leader serves clients.
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
