package server

import (
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// onlyReads reports whether all operations of r are reads. An inner transaction is not a read, whatever it does.
func onlyReads(r *pb.TxnRequest) bool {
	return all(r, func(read *pb.RangeRequest) bool { return read != nil })
}

// onlySerializable reports whether all reads of r are serializable. It returns true if r has none.
func onlySerializable(r *pb.TxnRequest) bool {
	return all(r, func(read *pb.RangeRequest) bool { return read != nil && read.Serializable })
}

func all(r *pb.TxnRequest, ok func(*pb.RangeRequest) bool) bool {
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range ops {
			if !ok(op.GetRequestRange()) {
				return false
			}
		}
	}
	return true
}

// txn is a transaction with the branches that it and its inner transactions take.
type txn struct {
	succeeded bool
	ops       []*pb.RequestOp
	inner     []*txn // for the operations that are transactions, in order
}

// decide evaluates the comparisons of r and of its inner transactions, on the keys before any change.
func (v view) decide(r *pb.TxnRequest) *txn {
	t := &txn{succeeded: v.holdAll(r.Compare), ops: r.Success}
	if !t.succeeded {
		t.ops = r.Failure
	}
	for _, op := range t.ops {
		if inner := op.GetRequestTxn(); inner != nil {
			t.inner = append(t.inner, v.decide(inner))
		}
	}
	return t
}

// errFatal is the answer to a transaction that deletes a range without an end and then puts a key of that range that must exist. etcd does
// not check such a range for overlaps. Its members panic when they apply the transaction, and again after each start.
var errFatal = status.Error(codes.Unknown, "etcdmem: etcd does not survive a put with ignore_value or ignore_lease of a key that the transaction has deleted")

// fits returns the first reason why an operation of the branches that t takes cannot be done. It changes nothing, so either all operations
// are done or none. w is nil if t only reads. gone collects the deleted keys.
func (t *txn) fits(v view, w *write, gone *[]mvcc.Range) error {
	inner := t.inner
	for _, op := range t.ops {
		var err error
		switch op := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			err = v.fits(op.RequestRange)
		case *pb.RequestOp_RequestPut:
			err = w.putFits(op.RequestPut, leaseFirst())
			ignores := op.RequestPut.IgnoreValue || op.RequestPut.IgnoreLease
			if err == nil && ignores && slices.ContainsFunc(*gone, func(r mvcc.Range) bool { return r.Contains(string(op.RequestPut.Key)) }) {
				err = errFatal
			}
		case *pb.RequestOp_RequestDeleteRange:
			*gone = append(*gone, keysOf(op.RequestDeleteRange.Key, op.RequestDeleteRange.RangeEnd))
		case *pb.RequestOp_RequestTxn:
			err = inner[0].fits(v, w, gone)
			inner = inner[1:]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fits is [view.check] for a transaction, where the error of a negative revision may be that it is compacted.
func (v view) fits(r *pb.RangeRequest) error {
	if r.Revision < 0 && r.Revision < v.compacted {
		return rpctypes.ErrGRPCCompacted
	}
	return v.check(r.Revision)
}

// do does the operations of t. They fit. now returns the keys after the operations that are done. The headers in the answer have only a
// revision. The headers of inner transactions are empty.
func (t *txn) do(now func() view, w *write) *pb.TxnResponse {
	resp := &pb.TxnResponse{Header: new(pb.ResponseHeader), Succeeded: t.succeeded, Responses: make([]*pb.ResponseOp, len(t.ops))}
	inner := t.inner
	for i, op := range t.ops {
		resp.Responses[i] = new(pb.ResponseOp)
		switch op := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			f, _ := now().read(op.RequestRange, true)
			resp.Responses[i].Response = &pb.ResponseOp_ResponseRange{ResponseRange: f.response()}
		case *pb.RequestOp_RequestPut:
			resp.Responses[i].Response = &pb.ResponseOp_ResponsePut{ResponsePut: w.put(op.RequestPut)}
		case *pb.RequestOp_RequestDeleteRange:
			resp.Responses[i].Response = &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: w.deleteRange(op.RequestDeleteRange)}
		case *pb.RequestOp_RequestTxn:
			resp.Responses[i].Response = &pb.ResponseOp_ResponseTxn{ResponseTxn: inner[0].do(now, w)}
			inner = inner[1:]
		}
	}
	return resp
}

// readTxn does a transaction that only reads.
func (v view) readTxn(r *pb.TxnRequest) (*pb.TxnResponse, error) {
	t := v.decide(r)
	if err := t.fits(v, nil, nil); err != nil {
		return nil, err
	}
	resp := t.do(func() view { return v }, nil)
	resp.Header.Revision = v.revision
	return resp, nil
}

// txn does a transaction that may write.
func (w *write) txn(r *pb.TxnRequest) (*pb.TxnResponse, error) {
	t := w.view().decide(r)
	var gone []mvcc.Range
	if err := t.fits(w.view(), w, &gone); err != nil {
		return nil, err
	}
	resp := t.do(w.view, w)
	resp.Header.Revision = w.data.Revision
	return resp, nil
}
