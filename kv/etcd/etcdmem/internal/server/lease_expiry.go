package server

import (
	"context"
	"math"
	"time"
)

const (
	// expiryPeriod is how often etcd looks for leases that have expired.
	expiryPeriod = 500 * time.Millisecond
	// expiryRetry is the time until an expired lease that still exists is revoked again.
	expiryRetry = 3 * time.Second
	// revokeAtOnce is how many leases are revoked at one tick.
	revokeAtOnce = 500
)

// lessor knows when leases expire. While its member leads, it revokes the leases that have expired. The state's mutex guards it.
type lessor struct {
	server    *Server
	demoted   chan struct{} // closed when the member no longer leads; nil when it does not
	deadlines deadlines     // of every lease, while the member leads
	timer     *time.Timer
	term      uint64
}

// minTTL is the shortest time to live of a lease, in seconds. It is longer than an election.
func (l *lessor) minTTL() int64 {
	return int64(math.Ceil((l.server.config.ElectionTimeout * 3 / 2).Seconds()))
}

// follow makes the member revoke expired leases from now on if it leads. When it begins to lead, every lease gets its whole time again, and
// the time of an election in addition. The caller holds the state's mutex.
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

// demote makes the member revoke no more leases. The caller holds the state's mutex.
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

// granted notes when a new lease expires. The caller holds the state's mutex.
func (l *lessor) granted(lease *lease) {
	if l.demoted != nil {
		l.refresh(lease, 0)
	}
}

// revoked forgets a lease. The caller holds the state's mutex.
func (l *lessor) revoked(id int64) {
	l.deadlines.remove(id)
}

// refresh gives a lease its whole time again, and some more. The caller holds the state's mutex.
func (l *lessor) refresh(lease *lease, more time.Duration) {
	l.deadlines.set(lease.id, time.Now().Add(more).Add(time.Duration(lease.ttl)*time.Second))
	l.wait()
}

// wait sets the timer to the next lease that expires. One that was left at a tick, as there were too many, waits for the next tick. The
// caller holds the state's mutex.
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

// revoke proposes to revoke expired leases. If that fails, it is tried again later.
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
