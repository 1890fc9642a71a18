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
	go func() { // ends with the answer, with the last watch of the lane, with the death of the lane, or with the client
		defer func() {
			ls.mu.Lock()
			l.pulsing = false
			ls.mu.Unlock()
		}()
		ls.examine(l, canary)
	}()
}

// examine asks for a watch in l, also if new watches begin elsewhere. If that is late it asks in the newest lane as well. If a
// lane that was asked later answers, and nothing comes in l, l is dead.
func (ls *lanes) examine(l *lane, canary *probe) {
	results := make(chan *request)
	first, begun := ls.ask(l, nil, canary, results), sinceStart()
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
			if r == first {
				ls.askProgress(l, canary) // while the watch that was asked for holds the stream
				r.cancel()
				return
			}
			r.cancel()
			if r.sent { // or its lane was left before it had its turn
				overtaken = true
				timer.Reset(overtakenFor)
			}
		case <-timer.C:
			switch {
			case l.heard.Load() > begun, !ls.isUsed(l):
				return // something else has come in it, or there is nobody to examine it for
			case overtaken:
				ls.kill(l, errSilentStream)
				return
			}
			newest := requests[len(requests)-1].lane
			ls.late(newest)
			if next := ls.now(); next != newest && len(requests) <= mostLeaves {
				requests = append(requests, ls.ask(next, next.left, canary, results))
			}
			timer.Reset(acknowledgeWithin)
		case <-l.dead:
			return
		case <-canary.closed:
			return
		}
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
