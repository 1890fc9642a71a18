package etcd

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// probe is what a watch is asked for with.
type probe struct {
	client Client
	closed <-chan struct{} // closed with the client; nil where the client does not tell
	key    string
	opts   []clientv3.OpOption
}

// request is one request for a watch in one lane.
//
// A request is never cancelled before the server has acknowledged it. etcd's client would forget it and the server would
// not: the server's watch would stay until an event comes for it, and the client would keep its gRPC stream for ever, with
// all later requests in that stream waiting behind the one that was forgotten. A request that is not needed any more is
// abandoned instead, and its watch is cancelled once it has been acknowledged.
type request struct {
	lane      *lane
	sent      bool
	responses clientv3.WatchChan
	cancel    context.CancelFunc // ends the watch
	abandoned chan struct{}      // closed when the request is not needed any more
}

// ask begins a request in l and hands it to results when etcd's client has returned, unless it was abandoned. Its
// goroutine ends then, or when the client is closed. A request that still waits for its turn when left is closed is not sent.
func (ls *lanes) ask(l *lane, left <-chan struct{}, p *probe, results chan<- *request) *request {
	ctx, cancel := context.WithCancel(context.Background())
	r := &request{lane: l, cancel: cancel, abandoned: make(chan struct{})}
	go func() {
		select {
		case l.turn <- struct{}{}:
			r.sent = true
			r.responses = p.client.Watch(l.context(ctx), p.key, p.opts...)
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

// open asks for a watch in l until a server has acknowledged it, and returns the request that was acknowledged. When l
// is left, it asks in the next lane too, and takes what is acknowledged first. It returns nil when ctx ends, or stop or the
// client is closed. A lane that only this watch uses is never left.
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
