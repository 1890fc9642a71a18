package server

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// Config has settings of an etcd server. A zero value means etcd's default.
type Config struct {
	ElectionTimeout  time.Duration // after which a member without a leader stands for election
	ProgressInterval time.Duration // between the progress notifications of a watch that wants them
	MaxRequestBytes  int
	MaxTxnOps        int
	Defects          Defects
	LeaseIDs         *LeaseIDs // of all members of the cluster
}

func (c *Config) setDefaults() {
	if c.ElectionTimeout == 0 {
		c.ElectionTimeout = time.Second
	}
	if c.ProgressInterval == 0 {
		c.ProgressInterval = 10 * time.Minute
	}
	if c.MaxRequestBytes == 0 {
		c.MaxRequestBytes = mvcc.MaxRequestBytes
	}
	if c.MaxTxnOps == 0 {
		c.MaxTxnOps = mvcc.MaxTxnOps
	}
	if c.LeaseIDs == nil {
		c.LeaseIDs = new(LeaseIDs)
	}
}

// requestTimeout is how long a request that needs other members may take.
func (c *Config) requestTimeout() time.Duration { return 5*time.Second + 2*c.ElectionTimeout }

// Server offers the services of one member, from when it is made until [Server.Stop].
type Server struct {
	state  *State
	member Member
	id     uint64
	config Config
	start  time.Time
	grpc   *grpc.Server
	hub    hub
	lessor lessor
	tokens tokens // guarded by the state's mutex

	hashes   []kvHash      // of the last compactions that the process has done, oldest first; guarded by the state's mutex
	taken    uint64        // the place in the log up to which the process has applied changes; guarded by the state's mutex
	progress chan struct{} // closed and set to nil when the member has applied more; nil if no call waits; guarded by the state's mutex
	restored uint64        // the [Status.Restored] that the hub has taken into account; guarded by the state's mutex

	ctx        context.Context // ends when the server stops
	stop       context.CancelFunc
	background sync.WaitGroup
}

// New returns a server of member. It shows to clients what the member has applied.
func New(state *State, member Member, config Config) *Server {
	config.setDefaults()
	s := &Server{state: state, member: member, id: member.ID(), config: config, start: time.Now()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.hub.server, s.lessor.server = s, s
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(config.MaxRequestBytes+mvcc.RequestOverhead),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.MaxConcurrentStreams(math.MaxUint32),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 2 * time.Hour, Timeout: 20 * time.Second}),
		grpc.StaticStreamWindowSize(64<<10),
		grpc.StaticConnWindowSize(64<<10),
		grpc.NumStreamWorkers(4), // the stacks of new goroutines would have to grow in each call
		grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(s.interceptUnary),
		grpc.StreamInterceptor(s.interceptStream),
	)
	pb.RegisterKVServer(s.grpc, &kvService{Server: s})
	pb.RegisterWatchServer(s.grpc, &watchService{Server: s})
	pb.RegisterLeaseServer(s.grpc, &leaseService{Server: s})
	pb.RegisterClusterServer(s.grpc, &clusterService{Server: s})
	pb.RegisterMaintenanceServer(s.grpc, &maintenanceService{Server: s})
	pb.RegisterAuthServer(s.grpc, &authService{Server: s})
	serving := health.NewServer()
	healthpb.RegisterHealthServer(s.grpc, serving)

	status := member.Status()
	state.mu.Lock()
	state.servers[s.id] = s
	state.places[s.id] = max(state.places[s.id], status.Applied)
	s.restored, s.taken = status.Restored, status.Applied
	s.hub.begin(state.viewAt(status.Applied))
	state.mu.Unlock()
	member.OnChange(s.changed)
	s.changed()
	return s
}

// Serve serves the connections of l until Stop.
func (s *Server) Serve(l net.Listener) error {
	err := s.grpc.Serve(l)
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Stop ends all connections and waits until nothing of the server runs.
func (s *Server) Stop() {
	s.state.mu.Lock()
	s.stop()
	if s.state.servers[s.id] == s {
		delete(s.state.servers, s.id)
	}
	s.hub.stop()
	s.lessor.demote()
	s.state.mu.Unlock()
	s.grpc.Stop()
	s.background.Wait()
}

// Config returns the server's settings, with defaults filled in.
func (s *Server) Config() Config { return s.config }

// Watchers returns the number of running watches.
func (s *Server) Watchers() int {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.hub.running
}

// WaitWatchers waits until there are exactly n running watches. It returns how many there were last.
func (s *Server) WaitWatchers(ctx context.Context, n int) (int, error) {
	for {
		s.state.mu.Lock()
		running, changed := s.hub.running, s.hub.nextChange()
		s.state.mu.Unlock()
		if running == n {
			return running, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return running, ctx.Err()
		}
	}
}

// changed is called after each change of the member's status.
func (s *Server) changed() {
	status := s.member.Status()
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if s.stopped() {
		return
	}
	s.advance(status)
	s.lessor.follow(status, s.state.viewAt(status.Applied))
}

// take runs the effects of the changes that the member has applied. The caller holds state.mu.
func (s *Server) take(status Status) {
	for _, e := range s.state.after(max(s.taken, status.Restored)) {
		if e.index > status.Applied {
			break
		}
		e.do(s)
	}
	s.taken = max(s.taken, status.Applied)
}

// shown is what the member has last shown to clients. The caller holds state.mu.
func (s *Server) shown() view { return s.state.viewAt(s.state.places[s.id]) }

// advance shows to clients what the member has applied. The caller holds state.mu.
func (s *Server) advance(status Status) {
	if status.Restored > s.restored {
		s.restored = status.Restored
		s.hub.restore()
	}
	s.take(status)
	if s.progress != nil {
		close(s.progress)
		s.progress = nil
	}
	s.hub.advance(s.state.viewAt(status.Applied))
	s.state.applied(s.id, status.Applied)
}

// read calls f with what the member has applied. f runs with the state locked.
func (s *Server) read(f func(v view)) {
	status := s.member.Status() // the member must not be asked for it with the state locked
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.take(status)
	f(s.state.viewAt(status.Applied))
}

// waitApplied returns when the member has applied the log up to a place, or ctx ends.
func (s *Server) waitApplied(ctx context.Context, index uint64) {
	for s.member.Status().Applied < index {
		s.state.mu.Lock()
		if s.progress == nil {
			s.progress = make(chan struct{})
		}
		progress := s.progress
		s.state.mu.Unlock()
		if s.member.Status().Applied >= index { // s.progress is not closed yet
			return
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *Server) stopped() bool { return s.ctx.Err() != nil }

// propose puts change into the log. change runs with the state locked.
func (s *Server) propose(ctx context.Context, change func(index uint64)) error {
	return s.member.Propose(ctx, func(index uint64) { s.state.apply(index, change) })
}

// fill completes the header of a response.
func (s *Server) fill(h *pb.ResponseHeader) *pb.ResponseHeader {
	status := s.member.Status()
	h.ClusterId, h.MemberId, h.RaftTerm = status.ClusterID, s.id, status.Term
	if h.Revision == 0 {
		s.read(func(v view) { h.Revision = v.revision })
	}
	return h
}

// header returns a header with the newest revision that the member has applied.
func (s *Server) header() *pb.ResponseHeader { return s.fill(new(pb.ResponseHeader)) }

// ticks returns the time until the server's first tick at or after a time. etcd does much of its work only at ticks.
func (s *Server) ticks(period time.Duration, at time.Time) time.Duration {
	since := max(at.Sub(s.start), 0)
	return time.Until(s.start.Add((since + period - 1) / period * period))
}
