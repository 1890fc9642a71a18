package rpc

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// run is a program that runs on one server.
type run struct {
	ctx     context.Context
	conn    *grpc.ClientConn
	streams map[int]*stream
	reading sync.WaitGroup
	never   map[int64]bool // revisions at which a compaction would kill etcd
}

// stream is a watch stream, with the messages that have come on it.
type stream struct {
	pb.Watch_WatchClient
	own bool // the stream has one watch, and the runner requests its progress

	mu         sync.Mutex
	came       []*pb.WatchResponse
	progressed bool // a stream with own has got progress, which is no answer of the program
	err        error
	changed    chan struct{} // closed and replaced when something comes
}

// runOn runs p. After each step, settle waits until every message that the step causes has come.
func runOn(ctx context.Context, conn *grpc.ClientConn, p Program, settle func(r *run, step int)) []Answer {
	ctx, cancel := context.WithCancel(ctx)
	r := &run{ctx: ctx, conn: conn, streams: make(map[int]*stream), never: make(map[int64]bool)}
	defer r.reading.Wait()
	defer cancel()
	answers := make([]Answer, len(p))
	for i, step := range p {
		if step.Message != nil {
			if err := r.stream(step.Stream).Send(step.Message); err != nil {
				answers[i].Response = "the stream has ended"
			}
		} else {
			answers[i].Response = r.call(step.Request)
		}
		settle(r, i)
		answers[i].Streams = r.take()
	}
	return answers
}

// stream returns a stream. It opens the stream if it is new.
func (r *run) stream(n int) *stream {
	if s := r.streams[n]; s != nil {
		return s
	}
	s := &stream{own: n >= sharedStreams, changed: make(chan struct{})}
	var err error
	if s.Watch_WatchClient, err = pb.NewWatchClient(r.conn).Watch(r.ctx); err != nil {
		panic(fmt.Sprintf("a stream cannot be opened: %v", err))
	}
	r.streams[n] = s
	r.reading.Go(s.read)
	return s
}

func (s *stream) read() {
	for {
		resp, err := s.Recv()
		if err == nil && isPeriodic(resp) {
			continue // all members in a process have the same period, which other tests change
		}
		s.mu.Lock()
		switch {
		case err != nil:
			s.err = err
		case s.own && isProgress(resp):
			s.progressed = true
		default:
			s.came = append(s.came, resp)
		}
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// take returns the messages that have come on each stream. If one change is for several watches, chance decides their order.
func (r *run) take() map[int][]string {
	all := make(map[int][]string)
	for n, s := range r.streams {
		s.mu.Lock()
		slices.SortStableFunc(s.came, func(a, b *pb.WatchResponse) int { return cmp.Compare(a.WatchId, b.WatchId) })
		for _, resp := range s.came {
			plain(resp.Header)
			all[n] = append(all[n], text(resp))
		}
		s.came = nil
		s.mu.Unlock()
	}
	return all
}

// isProgress reports whether a message is progress of all watches of the stream.
func isProgress(resp *pb.WatchResponse) bool {
	return resp.WatchId == -1 && !resp.Created && !resp.Canceled && len(resp.Events) == 0
}

// isPeriodic reports whether a message is a periodic progress notification of one watch.
func isPeriodic(resp *pb.WatchResponse) bool {
	return resp.WatchId != -1 && !resp.Created && !resp.Canceled && len(resp.Events) == 0
}

// plain removes from a header what is never the same on two servers.
func plain(h *pb.ResponseHeader) {
	if h != nil {
		h.ClusterId, h.MemberId, h.RaftTerm = 0, 0, 0
	}
}

// call makes a call and returns its answer.
func (r *run) call(request any) string {
	var resp interface{ GetHeader() *pb.ResponseHeader }
	var err error
	kv, leases := pb.NewKVClient(r.conn), pb.NewLeaseClient(r.conn)
	switch request := request.(type) {
	case *pb.PutRequest:
		resp, err = kv.Put(r.ctx, request)
	case *pb.DeleteRangeRequest:
		resp, err = kv.DeleteRange(r.ctx, request)
	case *pb.RangeRequest:
		resp, err = kv.Range(r.ctx, request)
	case *pb.TxnRequest:
		deletes := inTxn(request, func(op *pb.RequestOp) bool { return string(op.GetRequestDeleteRange().GetRangeEnd()) == "\x00" })
		if deletes && inTxn(request, func(op *pb.RequestOp) bool {
			return op.GetRequestPut().GetIgnoreValue() || op.GetRequestPut().GetIgnoreLease()
		}) {
			return "not done" // if the key is gone by then, such a put kills etcd
		}
		var answer *pb.TxnResponse
		answer, err = kv.Txn(r.ctx, request)
		if err == nil && deletes {
			r.never[answer.Header.Revision] = true // if the transaction also puts a key of the range, this would kill etcd
		}
		resp = answer
	case *pb.CompactionRequest:
		if r.never[request.Revision] {
			return "not done"
		}
		resp, err = kv.Compact(r.ctx, request)
	case *pb.LeaseGrantRequest:
		resp, err = leases.LeaseGrant(r.ctx, request)
	case *pb.LeaseRevokeRequest:
		resp, err = leases.LeaseRevoke(r.ctx, request)
	case *pb.LeaseTimeToLiveRequest:
		var answer *pb.LeaseTimeToLiveResponse
		if answer, err = leases.LeaseTimeToLive(r.ctx, request); err == nil {
			answer.TTL = min(answer.TTL, 1) // the rest depends on the time
			slices.SortFunc(answer.Keys, slices.Compare[[]byte])
		}
		resp = answer
	case *pb.LeaseLeasesRequest:
		var answer *pb.LeaseLeasesResponse
		if answer, err = leases.LeaseLeases(r.ctx, request); err == nil {
			slices.SortFunc(answer.Leases, func(a, b *pb.LeaseStatus) int { return cmp.Compare(a.ID, b.ID) })
		}
		resp = answer
	case *pb.LeaseKeepAliveRequest:
		resp, err = keepAlive(r.ctx, leases, request)
	case *pb.HashKVRequest:
		var answer *pb.HashKVResponse
		if answer, err = pb.NewMaintenanceClient(r.conn).HashKV(r.ctx, request); err == nil {
			answer.Hash = 0 // another function
		}
		resp = answer
	default:
		panic(fmt.Sprintf("no such request: %T", request))
	}
	if err != nil {
		return fmt.Sprintf("%v: %s", status.Code(err), status.Convert(err).Message())
	}
	plain(resp.GetHeader())
	return text(resp)
}

// keepAlive keeps a lease alive once.
func keepAlive(ctx context.Context, leases pb.LeaseClient, r *pb.LeaseKeepAliveRequest) (*pb.LeaseKeepAliveResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := leases.LeaseKeepAlive(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(r); err != nil {
		return nil, err
	}
	return stream.Recv()
}

// inTxn reports whether a transaction, or an inner transaction, has such an operation.
func inTxn(r *pb.TxnRequest, such func(*pb.RequestOp) bool) bool {
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range ops {
			if such(op) || op.GetRequestTxn() != nil && inTxn(op.GetRequestTxn(), such) {
				return true
			}
		}
	}
	return false
}
