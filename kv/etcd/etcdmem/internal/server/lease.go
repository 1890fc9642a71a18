package server

import (
	"maps"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/tidwall/btree"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// maxTTL is the longest time to live of a lease, in seconds.
const maxTTL = 9_000_000_000

// lease is a lease that was granted and not revoked. The member that leads knows when it expires: see [lessor].
type lease struct {
	id   int64
	ttl  int64               // seconds
	keys map[string]struct{} // the keys that are attached to it at the newest revision
}

// leases are all leases, by their identities.
type leases = btree.Map[int64, *lease]

func (l *lease) copy() *lease { return &lease{id: l.id, ttl: l.ttl, keys: maps.Clone(l.keys)} }

// sortedKeys returns the keys that are attached to the lease at the newest revision.
func (l *lease) sortedKeys() []string { return slices.Sorted(maps.Keys(l.keys)) }

// attached returns the keys that are attached to a lease.
func (v view) attached(l *lease) (keys []string) {
	if v.revision == v.data.Revision {
		return l.sortedKeys()
	}
	v.data.EachAt(mvcc.Prefix(""), v.revision, func(rec *mvcc.Record) bool {
		if rec.Lease == l.id {
			keys = append(keys, rec.Key)
		}
		return true
	})
	return keys
}

// grant makes a lease.
func (w *write) grant(r *pb.LeaseGrantRequest, minTTL int64) (*pb.LeaseGrantResponse, error) {
	if r.TTL > maxTTL {
		return nil, rpctypes.ErrGRPCLeaseTTLTooLarge
	}
	if _, exists := w.leases.Get(r.ID); exists {
		return nil, rpctypes.ErrGRPCLeaseExist
	}
	l := &lease{id: r.ID, ttl: max(r.TTL, minTTL), keys: make(map[string]struct{})}
	w.changeLeases().Set(l.id, l)
	w.everywhere(func(s *Server) { s.lessor.granted(l) })
	return &pb.LeaseGrantResponse{Header: &pb.ResponseHeader{Revision: w.data.Revision}, ID: l.id, TTL: l.ttl}, nil
}

// revoke ends a lease, and deletes the keys that are attached to it in one revision.
func (w *write) revoke(id int64) (*pb.LeaseRevokeResponse, error) {
	l, ok := w.leases.Get(id)
	if !ok {
		return nil, rpctypes.ErrGRPCLeaseNotFound
	}
	for _, key := range l.sortedKeys() {
		if rec := w.data.Get(key); rec != nil {
			w.delete(rec)
		}
	}
	w.changeLeases().Delete(id)
	w.everywhere(func(s *Server) { s.lessor.revoked(id) })
	return &pb.LeaseRevokeResponse{Header: &pb.ResponseHeader{Revision: w.data.Revision}}, nil
}
