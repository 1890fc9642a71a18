package etcdtest

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/etcdhttp"
	"google.golang.org/grpc"
)

// A member is one place in the cluster: an identity, addresses and data that outlive the servers that run there
// one after the other.
type member struct {
	name    string
	dir     string // of the data
	socket  string // where clients connect
	peers   *peerServer
	watches watchCount

	// The fields below are guarded by Cluster.mu.

	id   types.ID    // in the cluster's present generation; stays when the member stops
	etcd *embed.Etcd // nil when the member is stopped
	grpc *grpcServers
}

func (m *member) clientURL() url.URL { return url.URL{Scheme: "unix", Path: m.socket} }

// config returns the configuration of a server that runs as member i.
func (c *Cluster) config(i int, servers *grpcServers) *embed.Config {
	m := c.members[i]
	cfg := embed.NewConfig()
	cfg.Name = m.name
	cfg.Dir = m.dir
	cfg.ListenClientUrls = []url.URL{m.clientURL()}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	cfg.ListenPeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}} // unused; see peerServer
	cfg.AdvertisePeerUrls = []url.URL{m.peers.url()}
	cfg.InitialCluster = c.initialCluster()
	cfg.InitialClusterToken = fmt.Sprintf("etcdtest-%d", c.generation)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(c.logs.logger(m.name))

	cfg.TickMs = 50
	cfg.ElectionMs = 500
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4 // the least there is
	cfg.EnableGRPCGateway = false

	for _, f := range c.configure {
		f(i, cfg)
	}

	// After f, so that it can add to these but not lose ours.
	cfg.GRPCAdditionalServerOptions = append(cfg.GRPCAdditionalServerOptions,
		grpc.ChainStreamInterceptor(m.watches.intercept),
		// A handler that outlived its server would use a storage that has been closed, which etcd answers by
		// ending the process.
		grpc.WaitForHandlers(true),
	)
	register := cfg.ServiceRegister
	cfg.ServiceRegister = func(s *grpc.Server) {
		if register != nil {
			register(s)
		}
		servers.add(s)
	}
	return cfg
}

// launch starts a server for each of members that is stopped. It does not wait until they serve, which may need
// members that are launched later. The caller holds turn.
func (c *Cluster) launch(members []int) error {
	// One after the other: each new member first asks those before it whether it is one of theirs already, and
	// those that are only half started would let it wait.
	for _, i := range members {
		if c.Member(i) != nil {
			continue
		}
		if err := c.launchOne(i); err != nil {
			return fmt.Errorf("start member %d: %w", i, err)
		}
	}
	return nil
}

func (c *Cluster) launchOne(i int) error {
	m := c.members[i]
	servers := new(grpcServers)
	etcd, err := embed.StartEtcd(c.config(i, servers))
	if err != nil {
		return err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	m.id, m.etcd, m.grpc = etcd.Server.MemberID(), etcd, servers
	// Before others can reach the new server, which knows nothing of the links that are cut.
	c.applyCuts()
	m.peers.open(etcdhttp.NewPeerHandler(etcd.GetLogger(), etcd.Server))
	c.announce()
	return nil
}

// kill ends the server that runs as member i, if one does, without letting it hand over to others. The caller
// holds turn.
func (c *Cluster) kill(i int) {
	m := c.members[i]
	c.mu.Lock()
	etcd, servers := m.etcd, m.grpc
	m.etcd, m.grpc = nil, nil
	if etcd != nil {
		c.announce()
	}
	c.mu.Unlock()
	if etcd == nil {
		return
	}

	// Close by itself would wait seconds for each open watch to end, hand leadership to another member, and hang
	// for ever on a member that has never had a leader. So first the clients are cut off and the server is
	// stopped, which leaves Close no more to do than to free the rest. The order matters: the storage must not
	// be closed beneath a request.
	servers.stop()
	m.peers.shut()
	etcd.Server.HardStop()
	etcd.Close()
	m.peers.wait()
}

// grpcServers collects the gRPC servers of one etcd server, which embed keeps to itself, to be able to stop them.
type grpcServers struct {
	mu      sync.Mutex
	stopped bool
	servers []*grpc.Server
}

// add is called by etcd when a gRPC server has been set up and before it serves. It may run beside stop.
func (g *grpcServers) add(s *grpc.Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		s.Stop()
		return
	}
	g.servers = append(g.servers, s)
}

// stop closes all connections and returns when no request is being handled any more.
func (g *grpcServers) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	for _, s := range g.servers {
		s.Stop()
	}
}

// Stop ends the given members, all if none is given, as abruptly as can be done within a process: their clients'
// connections break, a leader does not hand over, requests under way get no answer. When it returns, clients
// that try to connect are refused; the data is kept for [Cluster.Restart]. Members that are stopped already stay so.
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
// It returns when they serve clients. Members that are running already are left alone. What was cut by
// [Cluster.Partition] is still cut.
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
		etcd := c.members[i].etcd
		able := c.hasQuorum(i)
		c.mu.Unlock()
		if etcd == nil || !able {
			continue
		}
		select {
		case <-etcd.Server.ReadyNotify():
		case <-etcd.Server.StopNotify():
			return fmt.Errorf("member %d has stopped", i)
		case <-ctx.Done():
			return fmt.Errorf("wait for member %d to serve: %w", i, ctx.Err())
		}
	}
	return nil
}
