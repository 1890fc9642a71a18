package etcd

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
)

// errSilentStream ends the watches of a lane that answers nothing while another lane of the same client answers.
var errSilentStream = errors.New("the stream of this watch answers nothing, and a new stream does: " +
	"its member or its connection is gone (does the client's configuration set DialKeepAliveTime? see KeepAlive)")

const (
	// overtakenFor is how long a lane may still be silent after a lane that was asked later has answered.
	overtakenFor = time.Second
	// silentAgain is the same for a lane that takes the place of one that was killed for its silence, until it has answered. A response that
	// takes long to arrive keeps its lane silent too, and would otherwise never arrive.
	silentAgain = 5 * time.Minute
	// quietFor is how long a lane must have been silent before a read begins a pulse.
	quietFor = 2 * time.Second
	// doubtAfter is how long a read may be without an answer before it begins pulses.
	doubtAfter = 500 * time.Millisecond
)

// doubt begins pulses soon, because a reader that doubts its watch makes a read. The caller calls answered with the result of the read. A
// read that is refused begins none: the reader ends its watch then, and a pulse would be refused too. If a stream ends with its last watch
// while another one is refused there, etcd's client waits for ever, and so does its Close.
func (s *Store) doubt() (answered func(error)) {
	timer := time.AfterFunc(doubtAfter, s.pulses)
	return func(err error) {
		if timer.Stop() && classify(err) != kv.ErrPermission {
			s.pulses()
		}
	}
}

// pulses checks whether each quiet lane with running watches is alive. It does not wait for the results.
func (s *Store) pulses() {
	for _, l := range s.lanes.inUse() {
		if time.Duration(sinceStart()-l.heard.Load()) > quietFor {
			s.pulse(l)
		}
	}
}

// pulse requests a watch in l that brings no event, unless such a request is under way. The acknowledgement proves
// that the stream is alive. Then pulse requests progress in the stream, so that idle watches can resume from a newer revision.
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
	go func() { // ends with the answer, the last watch of the lane, the death of the lane, or the client
		defer func() {
			ls.mu.Lock()
			l.pulsing = false
			ls.mu.Unlock()
		}()
		ls.examine(l, canary)
	}()
}

// examine requests a watch in l, even if new watches begin in another lane. If the acknowledgement is late, examine requests the watch
// in the newest lane as well. If a lane that was asked later answers, and l receives nothing, then l is dead.
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
				ls.answered(l)
				ls.askProgress(l, canary) // before r is cancelled: its watch keeps the stream open
				r.cancel()
				return
			}
			r.cancel()
			if r.sent { // otherwise its lane was left before the request had its turn
				overtaken = true
				timer.Reset(ls.silenceOf(l))
			}
		case <-timer.C:
			switch {
			case l.heard.Load() > begun, !ls.isUsed(l):
				return // l has received something else, or has no watches any more
			case overtaken:
				ls.silenced(l, begun)
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

// silenceOf returns how long l may still be silent after a lane that was asked later has answered.
func (ls *lanes) silenceOf(l *lane) time.Duration {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return max(l.silence, 2*ls.slowest)
}

// answered notes that l has answered an examination. Each answer halves what an answer after the end has taught: a lane may have been slow only
// because its member was frozen.
func (ls *lanes) answered(l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.silence = overtakenFor
	ls.slowest /= 2
}

// silenced kills l, which was asked at begun and has been silent for too long, and allows more to the lane in which its watches begin again.
func (ls *lanes) silenced(l *lane, begun int64) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.asked = begun
	ls.killLocked(l, errSilentStream)
	ls.current.silence = max(silentAgain, 2*l.silence)
}

// askProgress requests progress in the stream of l, which has a watch. The answer comes to every watch of the stream, unless one
// of them is behind or waits for a future revision.
func (ls *lanes) askProgress(l *lane, p *probe) {
	ctx, cancel := context.WithTimeout(l.context(context.Background()), acknowledgeWithin)
	defer cancel()
	p.client.RequestProgress(ctx) // if it fails, the next pulse requests progress again
}

// canaryOf returns a probe for a watch that brings no events. It has the keys of p, because the client is allowed to watch these.
func canaryOf(p *probe, rangeEnd string) *probe {
	return &probe{client: p.client, closed: p.closed, key: p.key, opts: []clientv3.OpOption{
		clientv3.WithRange(rangeEnd), clientv3.WithCreatedNotify(), clientv3.WithFilterPut(), clientv3.WithFilterDelete(),
	}}
}
