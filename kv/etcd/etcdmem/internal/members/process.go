package members

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// isClosed reports whether ch is closed.
func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// boot begins the life of a member's process. Its clock ticks from a time on.
func (m *Member) boot(began time.Time) {
	m.running, m.frozen = true, false
	m.life++
	m.began = began
	m.serving = make(chan struct{})
	m.streams = make(map[*stream]bool)
	m.thawed, m.elected = time.Time{}, time.Time{}
	m.becomeFollower(m.term)
}

// Stop ends a member's process, as SIGKILL does. Its log and its term stay. The calls that wait at the member get ErrGRPCStopped. Stop does
// nothing if the member is already stopped.
func (c *Cluster) Stop(i int) {
	c.mu.Lock()
	defer c.unlock()
	m := c.members[i]
	if !m.running {
		return
	}
	m.running, m.frozen = false, false
	m.life++
	m.role, m.lead = follower, none // m.leading stays: from it the others know when they last heard of m
	m.inbox, m.proposals, m.reading, m.readNext = nil, nil, nil, nil
	m.electionDue, m.noLeaderDue, m.adjustUntil = time.Time{}, time.Time{}, time.Time{}
	for s := range m.streams {
		s.cancel(rpctypes.ErrGRPCStopped)
	}
	m.streams = nil
	if isClosed(m.serving) {
		m.serving = make(chan struct{})
	}
	m.wake()
	m.mark()
	c.moved = true
}

// Start starts a member's process on the log and the term that it had. It serves clients some time later: see [Member.Serving].
// Start does nothing if the member already runs.
func (c *Cluster) Start(i int) {
	c.mu.Lock()
	defer c.unlock()
	m := c.members[i]
	if m.running || c.closed {
		return
	}
	now := time.Now()
	m.boot(now)
	m.upSince, m.adjustUntil = now, now.Add(adjustFor)
	m.electionDue = m.tick(m.timeout)
	for _, other := range c.members {
		other.adjust()
	}
	m.mark()
	life := m.life
	c.running.Go(func() { m.publish(life) })
}

// adjust makes a member's first election earlier, once the member is connected with two others, or if it is alone.
func (m *Member) adjust() {
	c := m.cluster
	if m.adjustUntil.IsZero() || !m.awake() {
		return
	}
	ticks := c.config.electionTicks() - 2
	if len(c.members) == 1 {
		ticks++
	} else if m.connectedCount(time.Now().Add(time.Nanosecond)) < 3 {
		return
	}
	if inTime := time.Now().Before(m.adjustUntil); inTime && !m.electionDue.IsZero() {
		m.electionDue = m.electionDue.Add(-time.Duration(ticks) * c.config.Heartbeat)
		c.moved = true
	}
	m.adjustUntil = time.Time{}
}

// publish proposes the address of a member that was started. The member serves clients when it has applied that change.
func (m *Member) publish(life int) {
	c := m.cluster
	for {
		err := m.Propose(context.Background(), nil)
		c.mu.Lock()
		over := m.life != life
		if !over && err == nil {
			close(m.serving)
		}
		c.mu.Unlock()
		if over || err == nil {
			return
		}
	}
}

// Freeze stops a member's process where it is, as SIGSTOP does. Messages to the member wait. Calls at the member wait until it is thawed or
// stopped. Freeze does nothing if the member is stopped or frozen.
func (c *Cluster) Freeze(i int) {
	c.mu.Lock()
	defer c.unlock()
	m := c.members[i]
	if !m.awake() {
		return
	}
	m.frozen, m.frozenAt = true, time.Now()
	c.moved = true
}

// Thaw makes a frozen member continue. The member first reads the messages that have come.
func (c *Cluster) Thaw(i int) {
	c.mu.Lock()
	defer c.unlock()
	m := c.members[i]
	if !m.frozen {
		return
	}
	now := time.Now()
	missed := now.Sub(m.frozenAt)
	m.frozen, m.thawed = false, now
	if missed >= silentFor {
		m.upSince = now
	}
	// Its clock has stood still.
	for _, t := range []*time.Time{&m.electionDue, &m.noLeaderDue, &m.leading.quorumDue, &m.leading.transferDue, &m.leading.checkFrom} {
		if !t.IsZero() {
			*t = t.Add(missed)
		}
	}
	inbox := m.inbox
	m.inbox = nil
	for _, e := range inbox {
		m.pass(e, len(c.members))
	}
	for _, other := range c.members {
		if other.awake() && other.role == leader && c.linked(m, other) {
			other.contact()
		}
	}
	m.wake()
	c.moved = true
}

// Thawed waits until the member is not frozen. A frozen member answers no call.
func (m *Member) Thawed(ctx context.Context) error {
	c := m.cluster
	c.mu.Lock()
	defer c.unlock()
	for {
		switch {
		case !m.running:
			return rpctypes.ErrGRPCStopped
		case !m.frozen:
			return nil
		}
		if err := m.wait(ctx); err != nil {
			return err
		}
	}
}
