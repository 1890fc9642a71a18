package etcd

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// errSilentStream ends the watches of a lane that answers nothing while another lane of the same client answers.
var errSilentStream = errors.New("the stream of this watch answers nothing, and a new stream does: " +
	"its member or its connection is gone (does the client's configuration set DialKeepAliveTime? see KeepAlive)")

// pulses asks every quiet lane that has running watches whether it is alive. A read begins it, because a reader that wants
// to know whether its watch is still alive reads. It does not wait for the answers.
func (s *Store) pulses() {
	for _, l := range s.lanes.inUse() {
		if time.Duration(sinceStart()-l.heard.Load()) > quietFor {
			s.pulse(l)
		}
	}
}

// pulse asks for a watch in l that brings no event, unless one has been asked for already. Its acknowledgement proves
// that the stream is alive. The stream is then asked for progress, which moves the place that idle watches resume from.
func (s *Store) pulse(l *lane) {
	ls := s.lanes
	ls.mu.Lock()
	skip := l.pulsing || l.canary == nil
	l.pulsing = true
	canary := l.canary
	ls.mu.Unlock()
	if skip {
		return
	}
	go func() { // ends with the answer, with the death of the lane, or with the client
		defer func() {
			ls.mu.Lock()
			l.pulsing = false
			ls.mu.Unlock()
		}()
		ls.examine(l, canary)
	}()
}

// examine asks for a watch in l. If that is late it asks in the newest lane as well. If a lane that was asked later
// answers, and l does not, l is dead.
func (ls *lanes) examine(l *lane, canary *probe) {
	results := make(chan *request)
	first := ls.ask(l, canary, results)
	requests := []*request{first}
	overtaken := false
	timer := time.NewTimer(acknowledgeWithin)
	defer timer.Stop()
	defer func() {
		for _, r := range requests {
			close(r.abandoned)
		}
	}()
	for {
		select {
		case r := <-results:
			if !r.sent && r == first && isClosed(l.left) {
				// The lane was left while the request waited for its turn: an answer is owed to somebody else.
				overtaken = true
				timer.Reset(overtakenFor)
				continue
			}
			if r == first {
				ls.askProgress(l, canary)
				r.cancel()
				return
			}
			r.cancel()
			overtaken = true
			timer.Reset(overtakenFor)
		case <-timer.C:
			if overtaken && !first.isAnswered() {
				ls.kill(l, errSilentStream)
				return
			}
			newest := requests[len(requests)-1].lane
			ls.late(newest)
			if next := ls.now(); next != newest && len(requests) <= mostLeaves {
				requests = append(requests, ls.ask(next, canary, results))
			}
			timer.Reset(acknowledgeWithin)
		case <-l.dead:
			return
		case <-canary.closed:
			return
		}
	}
}

func (r *request) isAnswered() bool {
	return r.lane.heard.Load() > sinceStart()-int64(quietFor)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// askProgress asks the stream of l, which has a watch, how far it is. The answer comes to every watch of the stream, if none
// of them is behind or waits for the future.
func (ls *lanes) askProgress(l *lane, p *probe) {
	ctx, cancel := context.WithTimeout(l.context(context.Background()), acknowledgeWithin)
	defer cancel()
	p.client.RequestProgress(ctx) // what is not answered is asked again by the next pulse
}

// canaryOf is a watch of the same keys as another, which the client is allowed to watch, that brings no events.
func canaryOf(p *probe, rangeEnd string) *probe {
	return &probe{client: p.client, closed: p.closed, key: p.key, opts: []clientv3.OpOption{
		clientv3.WithRange(rangeEnd), clientv3.WithCreatedNotify(), clientv3.WithFilterPut(), clientv3.WithFilterDelete(),
	}}
}
