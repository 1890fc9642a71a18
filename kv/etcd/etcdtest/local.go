package etcdtest

import (
	"context"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/etcdhttp"
	"google.golang.org/grpc"
)

// localServer is a server in this process.
type localServer struct {
	etcd  *embed.Etcd
	grpc  *grpcServers
	peers *peerServer
}

// startLocal starts a server in this process as member i. Other members can reach it after a call of admit.
func (c *Cluster) startLocal(i int) (s *localServer, err error) {
	m := c.members[i]
	s = &localServer{grpc: new(grpcServers), peers: m.peers.(*peerServer)}
	cfg := newConfig(c.settings(i), c.logs.logger(m.name))
	for _, f := range c.configure {
		f(i, cfg)
	}

	// This comes after f, so that f can add interceptors but cannot remove these.
	countWatches(cfg, &m.watches)
	// A handler that outlived its server would use a closed storage. etcd would then end the process.
	cfg.GRPCAdditionalServerOptions = append(cfg.GRPCAdditionalServerOptions, grpc.WaitForHandlers(true))
	register := cfg.ServiceRegister
	cfg.ServiceRegister = func(server *grpc.Server) {
		if register != nil {
			register(server)
		}
		s.grpc.add(server)
	}

	s.etcd, err = embed.StartEtcd(cfg)
	return s, err
}

// admit lets other members reach s.
func (s *localServer) admit() {
	s.peers.open(etcdhttp.NewPeerHandler(s.etcd.GetLogger(), s.etcd.Server))
}

func (s *localServer) id() types.ID                   { return s.etcd.Server.MemberID() }
func (s *localServer) leader() types.ID               { return s.etcd.Server.Leader() }
func (s *localServer) leaderChanged() <-chan struct{} { return s.etcd.Server.LeaderChangedNotify() }
func (s *localServer) ready() <-chan struct{}         { return s.etcd.Server.ReadyNotify() }
func (s *localServer) stopped() <-chan struct{}       { return s.etcd.Server.StopNotify() }

func (s *localServer) setCuts(cut, rest []types.ID) { setCuts(s.etcd, cut, rest) }

func (s *localServer) moveLeader(ctx context.Context, from, to types.ID) error {
	return s.etcd.Server.MoveLeader(ctx, uint64(from), uint64(to))
}

func (s *localServer) compact(ctx context.Context, rev int64) error { return compact(ctx, s.etcd, rev) }

func (s *localServer) catchUp(ctx context.Context) error {
	return s.etcd.Server.LinearizableReadNotify(ctx)
}

// kill ends the server without a transfer of its leadership.
func (s *localServer) kill() {
	// Close alone would wait seconds for the end of each open watch, transfer the leadership to another member, and hang on a member
	// that has never had a leader. So kill first breaks the clients' connections and stops the server. Then Close only frees
	// the rest. The order matters: the storage must not be closed while a request uses it.
	s.grpc.stop()
	s.peers.shut()
	s.etcd.Server.HardStop()
	s.etcd.Close()
	s.peers.wait()
}

func setCuts(etcd *embed.Etcd, cut, rest []types.ID) {
	for _, id := range cut {
		etcd.Server.CutPeer(id)
	}
	for _, id := range rest {
		etcd.Server.MendPeer(id)
	}
}

func compact(ctx context.Context, etcd *embed.Etcd, rev int64) error {
	_, err := etcd.Server.Compact(ctx, &pb.CompactionRequest{Revision: rev, Physical: true})
	return err
}

// grpcServers collects the gRPC servers of one etcd server, so that they can be stopped. Package embed does not export them.
type grpcServers struct {
	mu      sync.Mutex
	stopped bool
	servers []*grpc.Server
}

// etcd calls add for each gRPC server before the server serves. It may run concurrently with stop.
func (g *grpcServers) add(s *grpc.Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		s.Stop()
		return
	}
	g.servers = append(g.servers, s)
}

// stop closes all connections and returns when no request is being handled.
func (g *grpcServers) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	for _, s := range g.servers {
		s.Stop()
	}
}
