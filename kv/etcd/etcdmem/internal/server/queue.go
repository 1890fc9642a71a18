package server

import pb "go.etcd.io/etcd/api/v3/etcdserverpb"

// say answers the client. The caller holds the state's mutex.
func (ws *watchStream) say(h *hub, answer *pb.WatchResponse) {
	answer.Header = &pb.ResponseHeader{Revision: h.now.revision}
	ws.waiting++
	ws.push(&response{message: answer})
}

func (ws *watchStream) push(r *response) {
	ws.queue = append(ws.queue, r)
	select {
	case ws.filled <- struct{}{}:
	default:
	}
}

// offer moves the response that w holds into the queue. If there is no room, w has to wait. The caller holds the state's mutex.
func (ws *watchStream) offer(w *watch) bool {
	if len(w.held.records) == 0 { // the watch filters out all events
		w.held = nil
		return true
	}
	if len(ws.queue) >= queued {
		ws.slow = append(ws.slow, w)
		return false
	}
	ws.push(w.held)
	w.held = nil
	return true
}

// offerCompacted puts the message that the history of w is compacted into the queue, if there is room. The caller holds the state's mutex.
func (ws *watchStream) offerCompacted(w *watch, compacted int64) bool {
	if len(ws.queue) >= queued {
		return false
	}
	ws.push(&response{message: &pb.WatchResponse{
		Header:          new(pb.ResponseHeader),
		WatchId:         w.id,
		Canceled:        true,
		CompactRevision: compacted,
	}})
	return true
}

// take returns the next response to send, or nil.
func (ws *watchStream) take() *response {
	s := ws.server
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if len(ws.queue) == 0 {
		return nil
	}
	r := ws.queue[0]
	ws.queue[0] = nil
	ws.queue = ws.queue[1:]
	switch {
	case r.watch == nil && (r.message.Created || r.message.Canceled && r.message.CompactRevision == 0):
		ws.waiting--
		select {
		case ws.sent <- struct{}{}:
		default:
		}
	case r.watch != nil && len(r.records) > 0:
		r.watch.progress = false
		if r.watch.prevKV {
			r.findBefore(s.hub.now)
		}
	}
	ws.relieve(&s.hub)
	return r
}

// relieve moves the responses of slow watches into the queue while there is room. The caller holds the state's mutex.
func (ws *watchStream) relieve(h *hub) {
	for len(ws.slow) > 0 && len(ws.queue) < queued {
		w := ws.slow[0]
		ws.slow = ws.slow[1:]
		if w.state == watchHeld {
			ws.push(w.held)
			w.held = nil
			h.settle(w)
		}
	}
}
