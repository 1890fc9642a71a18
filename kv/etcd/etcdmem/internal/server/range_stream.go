package server

import (
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// rangeStreamMethod is the method that answers a range in parts. Only the API of etcd 3.7 has it. A client with an older API cannot call it.
// The code must compile with both versions, so it uses no type of the newer API. On the wire, a part of the answer is the same as the
// answer of a transaction to a range.
const rangeStreamMethod = "/etcdserverpb.KV/RangeStream"

// firstPart is how many keys the first part has. The number of keys in the next parts follows from the size of the part before.
const firstPart = 10

var (
	errStreamSorted   = status.Error(codes.Unimplemented, "RangeStream does not support custom sort orders")
	errStreamFiltered = status.Error(codes.Unimplemented, "RangeStream does not support revision filters")
)

func checkRangeStream(r *pb.RangeRequest) error {
	if err := checkRange(r); err != nil {
		return err
	}
	if r.SortOrder != pb.RangeRequest_NONE && (r.SortTarget != pb.RangeRequest_KEY || r.SortOrder != pb.RangeRequest_ASCEND) {
		return errStreamSorted
	}
	if r.MinModRevision != 0 || r.MaxModRevision != 0 || r.MinCreateRevision != 0 || r.MaxCreateRevision != 0 {
		return errStreamFiltered
	}
	return nil
}

func (s *Server) rangeStream(_ any, stream grpc.ServerStream) error {
	r, ctx := new(pb.RangeRequest), stream.Context()
	if err := stream.RecvMsg(r); err != nil {
		return err
	}
	if err := checkRangeStream(r); err != nil {
		return err
	}
	if !r.Serializable {
		if err := s.member.ReadIndex(ctx); err != nil {
			return err
		}
	}
	c, err := s.caller(ctx)
	if err != nil {
		return err
	}
	if s.read(func(v view) { err = v.auth.mayRead(c, r.Key, r.RangeEnd) }); err != nil {
		return err
	}
	if err := s.sendParts(r, stream); err != nil {
		return err
	}
	s.read(func(v view) {
		if c.revision != 0 && c.revision != v.auth.revision { // permissions may have changed meanwhile
			err = rpctypes.ErrGRPCAuthOldRevision
		}
	})
	return err
}

// sendParts answers r, and changes r for each part. All parts are of the revision of the first one. Only the last part has a header.
func (s *Server) sendParts(r *pb.RangeRequest, stream grpc.ServerStream) error {
	if r.Limit == 0 {
		r.Limit = math.MaxInt64
	}
	most, sent, revision := r.Limit, int64(0), int64(0)
	r.Limit = min(most, firstPart)
	for {
		f, err := s.readPart(r)
		if err != nil {
			return err
		}
		if revision == 0 {
			revision = f.revision
		}
		if r.Revision == 0 {
			r.Revision = revision
		}
		read := f.response()
		part := &pb.RangeResponse{Kvs: read.Kvs}
		sent += int64(len(part.Kvs))
		if f.more {
			r.Key = append(part.Kvs[len(part.Kvs)-1].Key, 0)
		}
		last := !f.more || sent == most
		if last {
			part.Header, part.More = s.fill(&pb.ResponseHeader{Revision: revision}), f.more
			if part.Count, err = s.countWith(sent, r, f); err != nil {
				return err
			}
		}
		err = stream.SendMsg(&pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: part}})
		if err != nil || last {
			return err
		}
		r.Limit = min(nextPart(r.Limit, sizeOf(read), s.config.MaxRequestBytes), most-sent)
	}
}

// countWith returns how many keys the range has: those that were sent, and those after the last part. If the request wants only the count,
// last has it.
func (s *Server) countWith(sent int64, r *pb.RangeRequest, last found) (int64, error) {
	switch {
	case r.CountOnly:
		return last.count, nil
	case !last.more:
		return sent, nil
	}
	rest, err := s.readPart(&pb.RangeRequest{Key: r.Key, RangeEnd: r.RangeEnd, Revision: r.Revision, CountOnly: true})
	return sent + rest.count, err
}

// readPart reads without counting the keys beyond the limit.
func (s *Server) readPart(r *pb.RangeRequest) (f found, err error) {
	s.read(func(v view) { f, err = v.read(r, false) })
	return f, err
}

// nextPart is how many keys the next part has. It is twice or half as many if the last part was far from the wanted size.
func nextPart(limit int64, size, want int) int64 {
	switch {
	case size < want/2:
		limit *= 2
	case size > want*2:
		limit /= 2
	}
	return max(limit, 1)
}
