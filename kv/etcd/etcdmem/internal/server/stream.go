package server

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

const (
	// queued is how many responses wait in the queue of a stream before its watches count as slow.
	queued = 128
	// messages is how many answers to the client's requests may wait. When there are as many, the server reads no further request.
	messages = 16
	// noWatch is the identity in messages that are about no watch, or about all watches of a stream.
	noWatch = -1
)

type watchService struct {
	pb.UnimplementedWatchServer
	*Server
}

// watchStream is a stream with any number of watches. The state's mutex guards its fields.
type watchStream struct {
	server  *Server
	ctx     context.Context // of the stream; it has the token of the client
	watches map[int64]*watch
	nextID  int64
	queue   []*response
	waiting int      // messages in the queue
	slow    []*watch // their responses wait for room in the queue, in this order
	closed  bool

	last lastEvent // of the goroutine that sends

	filled chan struct{} // has a token when there may be something in the queue
	sent   chan struct{} // has a token when a message was taken from the queue
}

func (s *watchService) Watch(stream pb.Watch_WatchServer) error {
	ws := &watchStream{
		server:  s.Server,
		ctx:     stream.Context(),
		watches: make(map[int64]*watch),
		filled:  make(chan struct{}, 1),
		sent:    make(chan struct{}, 1),
	}
	defer ws.close()
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	received := make(chan error, 1)
	s.background.Go(func() {
		if err := ws.receive(ctx, stream); err != nil { // a client that has ended its requests still gets the answers
			received <- err
		}
	})
	err := ws.send(ctx, stream, received)
	if errors.Is(err, context.Canceled) {
		return rpctypes.ErrGRPCWatchCanceled
	}
	return err
}

// close ends all watches of the stream.
func (ws *watchStream) close() {
	ws.server.state.mu.Lock()
	defer ws.server.state.mu.Unlock()
	for _, w := range ws.watches {
		ws.server.hub.remove(w)
	}
	ws.queue, ws.slow, ws.closed = nil, nil, true
}

// receive does what the client requests, until the client ends its requests.
func (ws *watchStream) receive(ctx context.Context, stream pb.Watch_WatchServer) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := ws.room(ctx); err != nil {
			return err
		}
		switch r := r.RequestUnion.(type) {
		case *pb.WatchRequest_CreateRequest:
			ws.create(r.CreateRequest)
		case *pb.WatchRequest_CancelRequest:
			ws.cancel(r.CancelRequest.GetWatchId())
		case *pb.WatchRequest_ProgressRequest:
			ws.progress()
		}
	}
}

// room waits until there is room in the queue for another message.
func (ws *watchStream) room(ctx context.Context) error {
	for {
		ws.server.state.mu.Lock()
		full := ws.waiting >= messages
		ws.server.state.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-ws.sent:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// locked calls f with the state locked, and the hub up to date with the member, unless the stream has ended.
func (ws *watchStream) locked(f func(h *hub)) {
	s := ws.server
	status := s.member.Status()
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if ws.closed || s.stopped() {
		return
	}
	s.advance(status)
	f(&s.hub)
}

// create starts a watch.
func (ws *watchStream) create(r *pb.WatchCreateRequest) {
	key := r.Key
	if len(key) == 0 {
		key = []byte{0}
	}
	c, unknown := ws.server.caller(ws.ctx)
	ws.locked(func(h *hub) {
		answer := &pb.WatchResponse{WatchId: noWatch, Created: true}
		var w *watch
		switch err := ws.refused(r, key, c, unknown); {
		case err != nil:
			answer.Canceled, answer.CancelReason = true, err.Error()
		default:
			w = ws.newWatch(r, key)
			answer.WatchId = w.id
		}
		ws.say(h, answer)
		if w != nil {
			ws.watches[w.id] = w
			h.add(w)
		}
	})
}

// refused returns why the watch is refused, in etcd's words. The caller holds the state's mutex.
func (ws *watchStream) refused(r *pb.WatchCreateRequest, key []byte, c caller, unknown error) error {
	if r.StartRevision < 0 {
		return rpctypes.ErrCompacted
	}
	if unknown != nil {
		return unknown
	}
	if err := ws.server.shown().auth.mayRead(c, key, r.RangeEnd); err != nil {
		return err
	}
	if len(r.RangeEnd) > 0 && !(len(r.RangeEnd) == 1 && r.RangeEnd[0] == 0) && string(key) >= string(r.RangeEnd) {
		return errEmptyWatchRange
	}
	if _, ok := ws.watches[r.WatchId]; ok && r.WatchId != 0 {
		return errDuplicateWatchID
	}
	return nil
}

// newWatch returns the watch that is requested. The caller holds the state's mutex.
func (ws *watchStream) newWatch(r *pb.WatchCreateRequest, key []byte) *watch {
	w := &watch{stream: ws, id: r.WatchId, keys: keysOf(key, r.RangeEnd), start: r.StartRevision, prevKV: r.PrevKv, fragment: r.Fragment}
	w.notify, w.progress = r.ProgressNotify, r.ProgressNotify
	for _, filter := range r.Filters {
		w.noPut = w.noPut || filter == pb.WatchCreateRequest_NOPUT
		w.noDel = w.noDel || filter == pb.WatchCreateRequest_NODELETE
	}
	if w.id == 0 {
		for ws.watches[ws.nextID] != nil {
			ws.nextID++
		}
		w.id = ws.nextID
		ws.nextID++
	}
	return w
}

// cancel ends a watch, if there is one with that identity.
func (ws *watchStream) cancel(id int64) {
	ws.locked(func(h *hub) {
		if w := ws.watches[id]; w != nil {
			delete(ws.watches, id)
			h.remove(w)
			ws.say(h, &pb.WatchResponse{WatchId: id, Canceled: true})
		}
	})
}

// progress answers a request for progress, unless a watch of the stream is behind or waits for a future revision. A watch whose history was
// compacted counts as behind until the client cancels it.
func (ws *watchStream) progress() {
	ws.locked(func(h *hub) {
		if ws.server.config.Defects.ProgressRunsAhead {
			ws.progressAhead(h)
			return
		}
		for _, w := range ws.watches {
			if w.state != watchSynced || h.now.revision < w.start {
				return
			}
		}
		if len(ws.watches) > 0 && len(ws.queue) < queued {
			ws.push(progressOf(h.now.revision))
		}
	})
}

// progressOf returns the answer to a request for progress.
func progressOf(revision int64) *response {
	return &response{message: &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: revision}, WatchId: noWatch}}
}

// notifyProgress sends the periodic progress notification of each watch that wants it and has got no event since the last one.
func (ws *watchStream) notifyProgress() {
	ws.locked(func(h *hub) {
		for _, w := range ws.watches {
			if w.progress && w.state == watchSynced && h.now.revision >= w.start && len(ws.queue) < queued {
				ws.push(&response{watch: w, revision: h.now.revision})
			}
			w.progress = w.notify
		}
	})
}

// send sends what is in the queue, until the stream ends.
func (ws *watchStream) send(ctx context.Context, stream pb.Watch_WatchServer, received <-chan error) error {
	interval := ws.server.config.ProgressInterval
	progress := time.NewTicker(interval + rand.N(interval/10)) // so that not all streams send theirs at once
	defer progress.Stop()
	for {
		for r := ws.take(); r != nil; r = ws.take() {
			if err := ws.sendOne(r, stream); err != nil {
				return err
			}
		}
		select {
		case <-ws.filled:
		case <-progress.C:
			ws.notifyProgress()
		case err := <-received:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sendOne sends a response, in fragments if its watch wants that.
func (ws *watchStream) sendOne(r *response, stream pb.Watch_WatchServer) error {
	status := ws.server.member.Status()
	answer := r.message
	if answer == nil {
		answer = &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: r.revision}, WatchId: r.watch.id, Events: r.events(&ws.last)}
	}
	answer.Header.ClusterId, answer.Header.MemberId, answer.Header.RaftTerm = status.ClusterID, ws.server.id, status.Term
	if r.watch == nil || !r.watch.fragment {
		return stream.Send(answer)
	}
	most := ws.server.config.MaxRequestBytes + mvcc.RequestOverhead
	return sendFragments(answer, most, stream.Send)
}
