package etcd

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// probe is what is needed to request a watch.
type probe struct {
	client Client
	closed <-chan struct{} // closed with the client; nil if the client does not report that
	key    string
	opts   []clientv3.OpOption
}

// noResponses is the channel of a client that returns none. It is closed.
var noResponses = func() clientv3.WatchChan {
	none := make(chan clientv3.WatchResponse)
	close(none)
	return none
}()

// request is one request for a watch in one lane.
//
// A request is never cancelled before the server has acknowledged it. etcd's client would forget the request, and the server would
// not. The server would keep the watch until an event comes for it. The client would keep the gRPC stream for ever, and
// all later requests in that stream would wait behind the forgotten one. A request that is not needed any more is
// abandoned instead, and its watch is cancelled when the server has acknowledged it.
type request struct {
	lane      *lane
	sent      bool
	responses clientv3.WatchChan
	cancel    context.CancelFunc // ends the watch
	abandoned chan struct{}      // closed when the request is not needed any more
}

// ask begins a request in l, and sends it to results when etcd's client has returned, unless it was abandoned. The goroutine
// of the request ends then, or when the client is closed. If the request still waits for its turn when left is closed, it is not sent
// to the server.
func (ls *lanes) ask(l *lane, left <-chan struct{}, p *probe, results chan<- *request) *request {
	ctx, cancel := context.WithCancel(context.Background())
	r := &request{lane: l, cancel: cancel, abandoned: make(chan struct{})}
	go func() {
		select {
		case l.turn <- struct{}{}:
			r.sent = true
			if r.responses = p.client.Watch(l.context(ctx), p.key, p.opts...); r.responses == nil {
				r.responses = noResponses
			}
			ls.acknowledged(l)
			<-l.turn
		case <-left: // the caller asks in another lane
		case <-p.closed:
		case <-r.abandoned:
		}
		select {
		case results <- r:
		case <-r.abandoned:
			cancel()
		}
	}()
	return r
}

// open requests a watch in l, and returns the request when a server has acknowledged it. When l is left, open requests the watch in
// the next lane too, and returns the request that is acknowledged first. It returns nil when ctx ends, when stop is closed, or
// when the client is closed. A lane that only this watch uses is never left.
func (ls *lanes) open(ctx context.Context, stop <-chan struct{}, l *lane, p *probe) *request {
	results := make(chan *request)
	var requests []*request
	var chosen *request
	defer func() {
		for _, r := range requests {
			if r != chosen {
				close(r.abandoned)
			}
		}
	}()
	timer := time.NewTimer(acknowledgeWithin)
	defer timer.Stop()
	for {
		begun := sinceStart()
		requests = append(requests, ls.ask(l, l.left, p, results))
		timer.Reset(ls.waiting(l, begun))
		for moved := false; !moved; {
			select {
			case r := <-results:
				if r.sent {
					chosen = r
					return r
				}
			case <-l.left:
				l, moved = ls.now(), true
			case <-timer.C:
				if ls.waiting(l, begun) <= 0 {
					ls.late(l)
				}
				timer.Reset(max(ls.waiting(l, begun), acknowledgeWithin/4))
			case <-p.closed:
				return nil
			case <-stop:
				return nil
			case <-ctx.Done():
				return nil
			}
		}
	}
}
