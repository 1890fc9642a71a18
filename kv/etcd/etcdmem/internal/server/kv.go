package server

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

type kvService struct {
	pb.UnimplementedKVServer
	*Server
}

func (s *kvService) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if err := checkRange(r); err != nil {
		return nil, err
	}
	if !r.Serializable {
		if err := s.member.ReadIndex(ctx); err != nil {
			return nil, err
		}
	}
	c, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	var f found
	s.read(func(v view) {
		if err = v.auth.mayRead(c, r.Key, r.RangeEnd); err == nil {
			f, err = v.read(r, true)
		}
	})
	if err != nil {
		return nil, err
	}
	resp := f.response()
	s.fill(resp.Header)
	return resp, nil
}

func (s *kvService) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	if err := checkPut(r); err != nil {
		return nil, err
	}
	return request(ctx, s.Server, &pb.InternalRaftRequest{Put: r}, func(w *write) (*pb.PutResponse, error) {
		if err := w.putFits(r, true); err != nil {
			return nil, err
		}
		return w.put(r), nil
	})
}

func (s *kvService) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	if err := checkDeleteRange(r); err != nil {
		return nil, err
	}
	return request(ctx, s.Server, &pb.InternalRaftRequest{DeleteRange: r}, func(w *write) (*pb.DeleteRangeResponse, error) {
		return w.deleteRange(r), nil
	})
}

func (s *kvService) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if err := checkTxn(r, s.config.MaxTxnOps); err != nil {
		return nil, err
	}
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		if _, err := writesOf(ops); err != nil {
			return nil, err
		}
	}
	if onlyReads(r) {
		return s.readTxn(ctx, r)
	}
	return request(ctx, s.Server, &pb.InternalRaftRequest{Txn: r}, func(w *write) (*pb.TxnResponse, error) { return w.txn(r) })
}

func (s *kvService) readTxn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if !onlySerializable(r) {
		if err := s.member.ReadIndex(ctx); err != nil {
			return nil, err
		}
	}
	c, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	var resp *pb.TxnResponse
	s.read(func(v view) {
		if err = v.mayTxn(c, r); err == nil {
			resp, err = v.readTxn(r)
		}
	})
	if err != nil {
		return nil, err
	}
	s.fill(resp.Header)
	return resp, nil
}

func (s *kvService) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	if err := s.check(ctx, (*auth).admin); err != nil {
		return nil, err
	}
	return s.compact(ctx, r)
}

// Compact discards the history before a revision.
func (s *Server) Compact(ctx context.Context, revision int64) error {
	_, err := s.compact(ctx, &pb.CompactionRequest{Revision: revision})
	return err
}

func (s *Server) compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	return request(ctx, s, &pb.InternalRaftRequest{Compaction: r}, func(w *write) (*pb.CompactionResponse, error) {
		before := w.view()
		switch w.data.Compact(r.Revision) {
		case mvcc.ErrCompacted:
			return nil, rpctypes.ErrGRPCCompacted
		case mvcc.ErrFuture:
			return nil, rpctypes.ErrGRPCFutureRev
		}
		h := kvHash{before.hash(r.Revision), r.Revision, before.compacted}
		w.everywhere(func(s *Server) { s.rememberHash(h) })
		return &pb.CompactionResponse{Header: &pb.ResponseHeader{Revision: w.data.Revision}}, nil
	})
}

// answer is a response that has a header.
type answer interface {
	comparable
	GetHeader() *pb.ResponseHeader
}

// request proposes a change, and returns the answer with a complete header.
func request[A answer](ctx context.Context, s *Server, r *pb.InternalRaftRequest, change func(*write) (A, error)) (A, error) {
	var none A
	var c caller
	var err error
	if r.Authenticate == nil { // its caller gets a token only from the answer
		if c, err = s.caller(ctx); err != nil {
			return none, err
		}
	}
	r.Header = &pb.RequestHeader{ID: s.id}
	if sizeOf(r) > s.config.MaxRequestBytes {
		return none, rpctypes.ErrGRPCRequestTooLarge
	}
	type result struct {
		resp A
		err  error
	}
	done := make(chan result, 1) // the change may be done after the request has timed out
	err = s.propose(ctx, func(index uint64) {
		var res result
		if res.err = s.state.allowed(r); res.err == nil {
			res.err = s.state.begin(index).view().permitted(c, r)
		}
		if res.err == nil && changesAuth(r) {
			s.state.changeAuth()
		}
		if res.err == nil {
			res.resp, res.err = change(s.state.begin(index))
		}
		done <- res
	})
	if err != nil {
		return none, err
	}
	res := <-done
	if res.err != nil {
		return none, res.err
	}
	s.fill(res.resp.GetHeader())
	return res.resp, nil
}
