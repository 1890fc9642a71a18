package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type leaseService struct {
	pb.UnimplementedLeaseServer
	*Server
}

func (s *leaseService) LeaseGrant(ctx context.Context, r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	for r.ID == 0 { // the client lets the server choose
		r.ID = s.config.LeaseIDs.next(s.id, s.start)
	}
	if err := s.check(ctx, (*auth).known); err != nil {
		return nil, err
	}
	return request(ctx, s.Server, &pb.InternalRaftRequest{LeaseGrant: r}, func(w *write) (*pb.LeaseGrantResponse, error) {
		return w.grant(r, s.lessor.minTTL())
	})
}

func (s *leaseService) LeaseRevoke(ctx context.Context, r *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	if err := s.check(ctx, (*auth).known); err != nil {
		return nil, err
	}
	return request(ctx, s.Server, &pb.InternalRaftRequest{LeaseRevoke: r}, func(w *write) (*pb.LeaseRevokeResponse, error) {
		return w.revoke(r.ID)
	})
}

func (s *leaseService) LeaseLeases(ctx context.Context, _ *pb.LeaseLeasesRequest) (*pb.LeaseLeasesResponse, error) {
	resp := new(pb.LeaseLeasesResponse)
	err := s.checkView(ctx, func(v view, c caller) (err error) {
		v.leases.Scan(func(id int64, _ *lease) bool {
			resp.Leases = append(resp.Leases, &pb.LeaseStatus{ID: id})
			err = v.mayLookAt(c, id, v.auth.mayRead)
			return err == nil
		})
		if err != nil {
			return err
		}
		expiry := s.lessor.deadlines.expiry
		slices.SortFunc(resp.Leases, func(a, b *pb.LeaseStatus) int {
			return cmp.Or(expiry(a.ID).Compare(expiry(b.ID)), cmp.Compare(a.ID, b.ID))
		})
		return v.auth.known(c)
	})
	if err != nil {
		return nil, err
	}
	resp.Header = s.header()
	return resp, nil
}

func (s *leaseService) LeaseTimeToLive(ctx context.Context, r *pb.LeaseTimeToLiveRequest) (*pb.LeaseTimeToLiveResponse, error) {
	err := s.checkView(ctx, func(v view, c caller) error {
		if err := v.auth.known(c); err != nil || !r.Keys {
			return err
		}
		return v.mayLookAt(c, r.ID, v.auth.mayRead)
	})
	if err != nil {
		return nil, err
	}
	var resp *pb.LeaseTimeToLiveResponse
	err = s.askLeader(ctx, func(leader *Server) (err error) {
		resp, err = leader.timeToLive(r)
		return err
	})
	if err == rpctypes.ErrGRPCLeaseNotFound {
		resp, err = &pb.LeaseTimeToLiveResponse{Header: new(pb.ResponseHeader), ID: r.ID, TTL: -1}, nil
	}
	if err != nil {
		return nil, err
	}
	s.fill(resp.Header)
	return resp, nil
}

// timeToLive answers at the leader.
func (s *Server) timeToLive(r *pb.LeaseTimeToLiveRequest) (resp *pb.LeaseTimeToLiveResponse, err error) {
	s.read(func(v view) {
		l, ok := v.leases.Get(r.ID)
		switch {
		case !ok:
			err = rpctypes.ErrGRPCLeaseNotFound
			return
		case s.lessor.demoted == nil:
			err = rpctypes.ErrGRPCLeaderChanged
			return
		}
		left := time.Until(s.lessor.deadlines.expiry(l.id))
		resp = &pb.LeaseTimeToLiveResponse{Header: new(pb.ResponseHeader), ID: l.id, TTL: int64(left.Seconds()), GrantedTTL: l.ttl}
		if r.Keys {
			for _, key := range v.attached(l) {
				resp.Keys = append(resp.Keys, []byte(key))
			}
		}
	})
	return resp, err
}

func (s *leaseService) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	ended := make(chan error, 1)
	s.background.Go(func() { ended <- s.keepAlive(stream) })
	ctx := stream.Context()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return rpctypes.ErrGRPCNoLeader
	}
}

func (s *leaseService) keepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// The header is made first, so that it is of a revision at which the lease still existed.
		resp := &pb.LeaseKeepAliveResponse{Header: s.header(), ID: r.ID}
		resp.TTL, err = s.renew(stream.Context(), r.ID)
		if err != nil && err != rpctypes.ErrGRPCLeaseNotFound {
			return err
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

// renew gives a lease its whole time again, and returns that time in seconds. A member that leads first confirms that it still leads. If it
// cannot, the client has to ask another member.
func (s *leaseService) renew(ctx context.Context, id int64) (ttl int64, err error) {
	if s.member.Status().Leader == s.id && !s.member.ConfirmLeader(ctx) {
		return 0, errNotPrimary
	}
	err = s.checkView(ctx, func(v view, c caller) error {
		if err := v.auth.known(c); err != nil {
			return err
		}
		return v.mayLookAt(c, id, v.auth.mayWrite)
	})
	if err != nil {
		return 0, err
	}
	err = s.askLeader(ctx, func(leader *Server) error {
		ttl, err = leader.lessor.renew(ctx, id)
		return err
	})
	return ttl, err
}

// mayLookAt returns an error unless c may do something with each key of a lease. The caller holds the state's mutex.
func (v view) mayLookAt(c caller, lease int64, may func(caller, []byte, []byte) error) error {
	if !v.auth.enabled {
		return nil
	}
	return v.mayAll(c, lease, may)
}

// errNotPrimary is the answer of a member that was asked as the leader and does not lead any more.
var errNotPrimary = status.Error(codes.Unknown, "not a primary lessor")

// renew renews a lease at the leader. If the lease has expired, the answer waits until it is revoked.
func (l *lessor) renew(ctx context.Context, id int64) (ttl int64, err error) {
	for {
		var expired *deadline
		var demoted <-chan struct{}
		l.server.read(func(v view) {
			lease, ok := v.leases.Get(id)
			switch demoted = l.demoted; {
			case demoted == nil:
				err = errNotPrimary
			case !ok:
				err = rpctypes.ErrGRPCLeaseNotFound
			case l.deadlines.expiry(id).After(time.Now()):
				l.refresh(lease, 0)
				ttl = lease.ttl
			default:
				expired = l.deadlines.byID[id]
			}
		})
		if expired == nil {
			return ttl, err
		}
		select {
		case <-expired.gone:
		case <-demoted:
		case <-l.server.ctx.Done():
			return 0, errNotPrimary
		}
	}
}

// askLeader calls ask with the server of the leader until it answers. The leader is this member or one that this member reaches.
func (s *Server) askLeader(ctx context.Context, ask func(leader *Server) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.requestTimeout())
	defer cancel()
	for {
		if leader := s.leaderServer(); leader != nil {
			if err := ask(leader); err != errNotPrimary {
				return err
			}
		}
		pause := 50 * time.Millisecond
		known := s.member.Status().Leader != 0
		if !known {
			pause = s.config.ElectionTimeout
		}
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return rpctypes.ErrGRPCStopped
		case <-ctx.Done():
			switch {
			case !known:
				return rpctypes.ErrGRPCNoLeader
			case ctx.Err() == context.DeadlineExceeded:
				return rpctypes.ErrGRPCTimeout
			}
			return rpctypes.ErrGRPCCanceled
		}
	}
}

// leaderServer returns the server of the leader, if this member knows one and can reach it.
func (s *Server) leaderServer() *Server {
	leader := s.member.Status().Leader
	if leader == 0 || leader != s.id && !s.member.Reaches(leader) {
		return nil
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.servers[leader]
}
