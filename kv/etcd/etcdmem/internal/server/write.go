package server

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// everywhere calls f for each member when its process applies the change. A member that gets another one's state instead does not apply it.
func (w *write) everywhere(f func(s *Server)) {
	w.effects = append(w.effects, effect{w.index, f})
}

// write is a change in progress. All its operations make one revision. The caller holds the state's mutex.
type write struct {
	*State
	index uint64 // its place in the log
	next  int64  // the revision that the first change makes
}

func (st *State) begin(index uint64) *write { return &write{st, index, st.data.Revision + 1} }

// view returns the keys after the operations that are done.
func (w *write) view() view { return view{w.data, w.made()} }

// put does r, which has been checked.
func (w *write) put(r *pb.PutRequest) *pb.PutResponse {
	key, value, leaseID := string(r.Key), string(r.Value), r.Lease
	old := w.data.Get(key)
	if r.IgnoreValue {
		value = old.Value
	}
	if r.IgnoreLease {
		leaseID = old.Lease
	}
	rec := w.data.Put(key, value, leaseID, w.next)
	w.reattach(rec.Key, old, leaseID)
	resp := &pb.PutResponse{Header: &pb.ResponseHeader{Revision: w.data.Revision}}
	if r.PrevKv && old != nil {
		resp.PrevKv = keyValue(old)
	}
	return resp
}

// deleteRange does r.
func (w *write) deleteRange(r *pb.DeleteRangeRequest) *pb.DeleteRangeResponse {
	resp := &pb.DeleteRangeResponse{Header: new(pb.ResponseHeader)}
	var records []*mvcc.Record
	w.data.EachAt(keysOf(r.Key, r.RangeEnd), w.data.Revision, func(rec *mvcc.Record) bool {
		records = append(records, rec)
		return true
	})
	for _, rec := range records {
		w.delete(rec)
		if r.PrevKv {
			resp.PrevKvs = append(resp.PrevKvs, keyValue(rec))
		}
	}
	resp.Deleted = int64(len(records))
	resp.Header.Revision = w.data.Revision
	return resp
}

// delete removes the key of a live record.
func (w *write) delete(rec *mvcc.Record) {
	w.data.Delete(rec.Key, w.next)
	w.reattach(rec.Key, rec, 0)
}

// reattach moves a key from the lease of its last record, if that had one, to another lease.
func (w *write) reattach(key string, old *mvcc.Record, to int64) {
	if old != nil && old.Lease != 0 && old.Lease != to {
		if l, ok := w.leases.Get(old.Lease); ok {
			delete(l.keys, key)
		}
	}
	if l, ok := w.leases.Get(to); ok {
		l.keys[key] = struct{}{}
	}
}

// putFits returns the error of a put that the state does not allow. If both the key and the lease are missing, leaseFirst decides which the
// error names.
func (w *write) putFits(r *pb.PutRequest, leaseFirst bool) error {
	var noKey, noLease error
	if (r.IgnoreValue || r.IgnoreLease) && w.data.Get(string(r.Key)) == nil {
		noKey = rpctypes.ErrGRPCKeyNotFound
	}
	if r.Lease != 0 {
		if _, ok := w.leases.Get(r.Lease); !ok {
			noLease = rpctypes.ErrGRPCLeaseNotFound
		}
	}
	if noLease != nil && (leaseFirst || noKey == nil) {
		return noLease
	}
	return noKey
}
