package server

import (
	"maps"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// maxTTL is the longest time to live of a lease, in seconds.
const maxTTL = 9_000_000_000

// lease is a lease that was granted and not revoked. When it ends is known to the member that leads, see [lessor].
type lease struct {
	id      int64
	ttl     int64 // seconds
	keys    map[string]struct{}
	revoked chan struct{} // closed when it is
}

func (l *lease) copy() *lease {
	return &lease{id: l.id, ttl: l.ttl, keys: maps.Clone(l.keys), revoked: make(chan struct{})}
}

// sortedKeys returns the keys that are attached to the lease.
func (l *lease) sortedKeys() []string { return slices.Sorted(maps.Keys(l.keys)) }

// grant makes a lease.
func (w *write) grant(r *pb.LeaseGrantRequest, minTTL int64) (*pb.LeaseGrantResponse, error) {
	switch {
	case r.TTL > maxTTL:
		return nil, rpctypes.ErrGRPCLeaseTTLTooLarge
	case w.leases[r.ID] != nil:
		return nil, rpctypes.ErrGRPCLeaseExist
	}
	l := &lease{id: r.ID, ttl: max(r.TTL, minTTL), keys: make(map[string]struct{}), revoked: make(chan struct{})}
	w.leases[l.id] = l
	for _, s := range w.servers {
		s.lessor.granted(l)
	}
	return &pb.LeaseGrantResponse{Header: &pb.ResponseHeader{Revision: w.data.Revision}, ID: l.id, TTL: l.ttl}, nil
}

// revoke ends a lease, and deletes the keys that are attached to it in one revision.
func (w *write) revoke(id int64) (*pb.LeaseRevokeResponse, error) {
	l := w.leases[id]
	if l == nil {
		return nil, rpctypes.ErrGRPCLeaseNotFound
	}
	for _, key := range l.sortedKeys() {
		if rec := w.data.Get(key); rec != nil {
			w.delete(rec)
		}
	}
	delete(w.leases, id)
	close(l.revoked)
	for _, s := range w.servers {
		s.lessor.revoked(id)
	}
	return &pb.LeaseRevokeResponse{Header: &pb.ResponseHeader{Revision: w.data.Revision}}, nil
}
