package members

import "time"

// becomeLeader makes the member the leader of its term.
func (m *Member) becomeLeader() {
	now := time.Now()
	m.startLeading(now)
	m.elected = now
	m.follow(m.index)
	m.append(new(entry)) // with which what is before it is committed
	m.contact()
}

func (m *Member) startLeading(now time.Time) {
	m.role = leader
	m.cluster.moved = true
	m.electionDue = time.Time{}
	m.leading = leading{checkFrom: now, sent: now, heard: make(map[int]time.Time), transferee: none}
}

// becomeFollower makes the member a follower, or what is the same here, one that has yet to hear of its leader.
func (m *Member) becomeFollower(term uint64) {
	m.role, m.term = follower, term
	m.cluster.moved = true
	m.leading = leading{}
	ticks := m.cluster.config.electionTicks()
	m.timeout = ticks + m.cluster.random.IntN(ticks)
	m.mark()
}

// stepDown is what a member does that leads, and finds that it has no majority, or that there was a later election.
func (m *Member) stepDown(term uint64) {
	m.becomeFollower(term)
	m.follow(none)
	m.electionDue = m.tick(m.timeout)
}

// lastHeard returns when others last heard of a leader, if that was until now.
func (m *Member) lastHeard() time.Time {
	if t := m.tick(0); t.After(m.leading.sent) {
		return t
	}
	return m.leading.sent
}

// stand is what a member does that has not heard of its leader for too long: it asks whether it would be elected, and is if so.
func (m *Member) stand() {
	c := m.cluster
	m.role = candidate
	m.follow(none)
	m.electionDue = m.tick(m.timeout)
	var votes []*Member
	for _, v := range c.reached(m) {
		switch {
		case v.term > m.term:
			m.becomeFollower(v.term)
			m.electionDue = m.tick(m.timeout)
			return
		case v.hearsOfLeader(): // it does not answer
		case m.log.behind(&v.log):
		default:
			votes = append(votes, v)
		}
	}
	if len(votes)+1 >= c.quorum() {
		m.win(votes)
	}
}

// hearsOfLeader reports whether the member has heard of its leader within the time of an election. A leader hears of itself.
func (m *Member) hearsOfLeader() bool {
	if m.role == leader || m.lead != none && m.electionDue.IsZero() {
		return true
	}
	heard := m.electionDue.Add(-time.Duration(m.timeout) * m.cluster.config.Heartbeat)
	return m.lead != none && time.Since(heard) < m.cluster.config.Election
}

// win makes the member the leader with the votes of others.
func (m *Member) win(votes []*Member) {
	m.term++
	for _, v := range votes {
		v.becomeFollower(m.term)
		v.follow(none)
		v.electionDue = v.tick(v.timeout)
	}
	m.becomeLeader()
}

// review brings up to date what is due at a member that is awake: whether it hears of its leader, and if it leads, whether it has
// others to tell of that, and a majority.
func (m *Member) review() {
	c := m.cluster
	switch {
	case m.role != leader:
		if m.electionDue.IsZero() && !m.hears() {
			m.electionDue = m.cluster.members[m.lead].lastHeard().Add(time.Duration(m.timeout) * c.config.Heartbeat)
		}
		return
	case m.leading.heard == nil:
		return
	}
	l := &m.leading
	estranged, active := false, 1
	for _, other := range c.members {
		if other == m {
			continue
		}
		inTouch := other.lead == m.index && other.hears() && other.electionDue.IsZero()
		estranged = estranged || other.awake() && c.linked(m, other) && !inTouch
		if inTouch {
			delete(l.heard, other.index)
			active++
			continue
		}
		if _, ok := l.heard[other.index]; !ok {
			l.heard[other.index] = m.lastHeard()
			l.quorumDue = time.Time{}
		}
	}
	if estranged && l.heartbeatDue.IsZero() {
		l.heartbeatDue = m.tick(1)
	}
	switch {
	case active >= c.quorum():
		l.quorumDue = time.Time{}
	case l.quorumDue.IsZero():
		l.quorumDue = m.failingCheck(active)
	}
}

// hears reports whether a follower gets its leader's heartbeats from now on.
func (m *Member) hears() bool {
	if m.lead == none {
		return false
	}
	l := m.cluster.members[m.lead]
	return m.role == follower && m.awake() && l.awake() && l.role == leader && l.term == m.term && m.cluster.linked(m, l)
}

// failingCheck returns when a leader checks its majority and finds that it has lost it, if so many members, itself among them, are
// in contact from now on.
func (m *Member) failingCheck(active int) time.Time {
	every := m.cluster.config.Election
	check := m.leading.checkFrom.Add((time.Since(m.leading.checkFrom)/every + 1) * every)
	for ; ; check = check.Add(every) {
		answered := active
		for _, heard := range m.leading.heard {
			if heard.After(check.Add(-every)) {
				answered++
			}
		}
		if answered < m.cluster.quorum() {
			return check
		}
	}
}
