package server

import (
	"context"
	"math"
	"time"
)

const (
	// expiryPeriod is how often etcd looks for leases that have expired.
	expiryPeriod = 500 * time.Millisecond
	// expiryRetry is after how long an expired lease is revoked again that still exists.
	expiryRetry = 3 * time.Second
	// revokeAtOnce is how many leases are revoked at one tick.
	revokeAtOnce = 500
)

// lessor knows when leases expire, and revokes those that have, while its member leads. The state's mutex guards it.
type lessor struct {
	server    *Server
	demoted   chan struct{} // closed when the member no longer leads; nil when it does not
	deadlines deadlines     // of every lease, while the member leads
	timer     *time.Timer
	term      uint64
}

// minTTL is the shortest time to live of a lease, in seconds: it must outlive an election.
func (l *lessor) minTTL() int64 {
	return int64(math.Ceil((l.server.config.ElectionTimeout * 3 / 2).Seconds()))
}

// follow makes the member the one that ends leases when it leads. Every lease then lives as long again as it was granted,
// and an election longer. Holds the state's mutex.
func (l *lessor) follow(status Status, v view) {
	leads := status.Leader == l.server.id
	switch {
	case !leads:
		l.demote()
	case l.demoted == nil || l.term != status.Term:
		l.demote()
		l.term = status.Term
		l.demoted = make(chan struct{})
		v.leases.Scan(func(_ int64, lease *lease) bool {
			l.refresh(lease, l.server.config.ElectionTimeout)
			return true
		})
	}
}

// demote ends the member's time as the one that ends leases. Holds the state's mutex.
func (l *lessor) demote() {
	if l.demoted == nil {
		return
	}
	close(l.demoted)
	l.demoted = nil
	l.deadlines = deadlines{}
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// granted begins to count for a lease. Holds the state's mutex.
func (l *lessor) granted(lease *lease) {
	if l.demoted != nil {
		l.refresh(lease, 0)
	}
}

// revoked forgets a lease. Holds the state's mutex.
func (l *lessor) revoked(id int64) {
	l.deadlines.remove(id)
}

// refresh gives a lease its whole time, and more. Holds the state's mutex.
func (l *lessor) refresh(lease *lease, more time.Duration) {
	l.deadlines.set(lease.id, time.Now().Add(more).Add(time.Duration(lease.ttl)*time.Second))
	l.wait()
}

// wait sets the timer to the next lease that expires. One that was left at a tick, as there were too many, waits for the next tick. Holds
// the state's mutex.
func (l *lessor) wait() {
	next, ok := l.deadlines.next()
	if !ok {
		return
	}
	at := time.Now().Add(1)
	if next.due.After(at) {
		at = next.due
	}
	d := l.server.ticks(expiryPeriod, at)
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.tick)
	} else {
		l.timer.Reset(d)
	}
}

// tick revokes the leases that have expired.
func (l *lessor) tick() {
	s := l.server
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if l.demoted == nil || s.stopped() {
		return
	}
	now := time.Now()
	var expired []int64
	for next, ok := l.deadlines.next(); ok && !now.Before(next.due) && len(expired) < revokeAtOnce; next, ok = l.deadlines.next() {
		expired = append(expired, next.id)
		l.deadlines.postpone(next, now.Add(expiryRetry))
	}
	l.wait()
	if len(expired) > 0 {
		s.background.Go(func() { l.revoke(expired) })
	}
}

// revoke proposes that expired leases be revoked. If that fails, they are looked at again later.
func (l *lessor) revoke(expired []int64) {
	s := l.server
	ctx, cancel := context.WithTimeout(s.ctx, s.config.requestTimeout())
	defer cancel()
	if !s.member.ConfirmLeader(ctx) {
		return
	}
	for _, id := range expired {
		s.propose(ctx, func(index uint64) { s.state.begin(index).revoke(id) })
	}
}
