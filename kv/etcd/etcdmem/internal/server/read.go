package server

import (
	"cmp"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// keysOf returns the keys of a request.
func keysOf(key, end []byte) mvcc.Range {
	switch {
	case len(end) == 0:
		return mvcc.Key(string(key))
	case len(end) == 1 && end[0] == 0:
		return mvcc.From(string(key))
	}
	return mvcc.Interval(string(key), string(end))
}

// check returns the error of a read at a revision that is compacted or in the future.
func (v view) check(revision int64) error {
	switch {
	case revision > v.revision:
		return rpctypes.ErrGRPCFutureRev
	case revision > 0 && revision < v.compacted:
		return rpctypes.ErrGRPCCompacted
	}
	return nil
}

// found is what a read has found.
type found struct {
	records  []*mvcc.Record
	count    int64 // of keys in the range, whatever the limit
	more     bool
	revision int64 // the newest one when the range was read
	keysOnly bool
	noLease  bool
}

// read reads the records of a range. The caller holds the state's mutex, and releases it before the answer is made. If total is not set, the
// count is the number of the records that were found.
func (v view) read(r *pb.RangeRequest, total bool) (found, error) {
	if err := v.check(r.Revision); err != nil {
		return found{}, err
	}
	at := r.Revision
	if at <= 0 {
		at = v.revision
	}
	f := found{revision: v.revision, keysOnly: r.KeysOnly}
	f.noLease = r.KeysOnly && r.SortTarget != pb.RangeRequest_VALUE && keysLackLease()
	filtered := r.MinModRevision != 0 || r.MaxModRevision != 0 || r.MinCreateRevision != 0 || r.MaxCreateRevision != 0
	// Records that have to be sorted or filtered are read without the limit. As in etcd, if a request names a target and no order, only
	// the first keys are sorted.
	limited := r.Limit > 0 && r.SortOrder == pb.RangeRequest_NONE && !filtered
	v.data.EachAt(keysOf(r.Key, r.RangeEnd), at, func(rec *mvcc.Record) bool {
		f.count++
		if !r.CountOnly && !(limited && int64(len(f.records)) > r.Limit) {
			f.records = append(f.records, rec)
		}
		return total || !limited || int64(len(f.records)) <= r.Limit
	})
	if filtered {
		f.records = slices.DeleteFunc(f.records, func(rec *mvcc.Record) bool {
			return r.MaxModRevision != 0 && rec.Modify > r.MaxModRevision || rec.Modify < r.MinModRevision ||
				r.MaxCreateRevision != 0 && rec.Create > r.MaxCreateRevision || rec.Create < r.MinCreateRevision
		})
	}
	order(f.records, r.SortTarget, r.SortOrder)
	if r.Limit > 0 && int64(len(f.records)) > r.Limit {
		f.records = f.records[:r.Limit]
		f.more = true
	}
	return f, nil
}

// order sorts records, which are in order of their keys.
func order(records []*mvcc.Record, target pb.RangeRequest_SortTarget, direction pb.RangeRequest_SortOrder) {
	var compare func(a, b *mvcc.Record) int
	switch target {
	case pb.RangeRequest_KEY:
		if direction != pb.RangeRequest_DESCEND {
			return
		}
		compare = func(a, b *mvcc.Record) int { return cmp.Compare(a.Key, b.Key) }
	case pb.RangeRequest_VERSION:
		compare = func(a, b *mvcc.Record) int { return cmp.Compare(a.Version, b.Version) }
	case pb.RangeRequest_CREATE:
		compare = func(a, b *mvcc.Record) int { return cmp.Compare(a.Create, b.Create) }
	case pb.RangeRequest_MOD:
		compare = func(a, b *mvcc.Record) int { return cmp.Compare(a.Modify, b.Modify) }
	case pb.RangeRequest_VALUE:
		compare = func(a, b *mvcc.Record) int { return cmp.Compare(a.Value, b.Value) }
	}
	if direction == pb.RangeRequest_DESCEND {
		ascending := compare
		compare = func(a, b *mvcc.Record) int { return ascending(b, a) }
	}
	slices.SortFunc(records, compare) // like etcd's sort it is not stable; both leave equal records in the same order
}

// response returns the answer to the read.
func (f found) response() *pb.RangeResponse {
	resp := &pb.RangeResponse{
		Header: &pb.ResponseHeader{Revision: f.revision},
		Kvs:    make([]*mvccpb.KeyValue, len(f.records)),
		Count:  f.count,
		More:   f.more,
	}
	for i, rec := range f.records {
		resp.Kvs[i] = keyValue(rec)
		if f.keysOnly {
			resp.Kvs[i].Value = nil
		}
		if f.noLease {
			resp.Kvs[i].Lease = 0
		}
	}
	return resp
}

// keyValue returns a record as etcd's API has it.
func keyValue(rec *mvcc.Record) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{
		Key:            []byte(rec.Key),
		Value:          []byte(rec.Value),
		CreateRevision: rec.Create,
		ModRevision:    rec.Modify,
		Version:        rec.Version,
		Lease:          rec.Lease,
	}
}
