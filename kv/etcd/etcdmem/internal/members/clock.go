package members

import "time"

// A due is something that a member does at a time, without a message or a call.
type due struct {
	at time.Time
	do func()
}

// next returns what a member that is awake does next.
func (m *Member) next() (first due) {
	consider := func(at time.Time, do func()) {
		if !at.IsZero() && (first.at.IsZero() || at.Before(first.at)) {
			first = due{at, do}
		}
	}
	consider(m.electionDue, m.stand)
	if m.role == leader {
		consider(m.leading.heartbeatDue, m.beat)
		consider(m.leading.quorumDue, func() { m.stepDown(m.term) })
		consider(m.leading.transferDue, m.abortTransfer)
	}
	if m.reading != nil {
		consider(m.reading.againAt, m.ask)
		consider(m.reading.giveUpAt, m.giveUpReading)
	}
	if len(m.streams) > 0 {
		consider(m.noLeaderDue, m.endStreams)
	}
	return first
}

func (m *Member) beat() {
	m.leading.heartbeatDue = time.Time{}
	m.contact()
}

// first returns what happens next in the cluster. If two members do something at the same time, the member with the lower number is
// first. The caller holds mu.
func (c *Cluster) first() (first due) {
	for _, m := range c.members {
		if !m.awake() {
			continue
		}
		if d := m.next(); !d.at.IsZero() && (first.at.IsZero() || d.at.Before(first.at)) {
			first = d
		}
	}
	return first
}

// schedule sets the timer to the time when something is due. The caller holds mu.
func (c *Cluster) schedule() {
	d := c.first()
	switch {
	case d.at.Equal(c.timerAt):
		return
	case d.at.IsZero():
		c.timer.Stop()
	case c.timer == nil:
		c.timer = time.AfterFunc(time.Until(d.at), c.fire)
	default:
		c.timer.Reset(time.Until(d.at))
	}
	c.timerAt = d.at
}

// fire does all that is due.
func (c *Cluster) fire() {
	c.mu.Lock()
	defer c.unlock()
	c.timerAt = time.Time{}
	for {
		d := c.first()
		if d.at.IsZero() || time.Now().Before(d.at) {
			break
		}
		c.moved = true
		d.do()
		c.settle()
	}
	c.schedule()
}
