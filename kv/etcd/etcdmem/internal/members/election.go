package members

import "time"

// becomeLeader makes the member the leader of its term.
func (m *Member) becomeLeader() {
	now := time.Now()
	m.startLeading(now)
	m.elected = now
	m.follow(m.index)
	m.append(new(entry)) // when it is committed, all changes before it are committed too
	m.contact()
}

func (m *Member) startLeading(now time.Time) {
	m.role = leader
	m.cluster.moved = true
	m.electionDue = time.Time{}
	m.leading = leading{checkFrom: now, sent: now, heard: make(map[int]time.Time), transferee: none}
}

// becomeFollower makes the member a follower, which may have heard of no leader yet.
func (m *Member) becomeFollower(term uint64) {
	m.role, m.term = follower, term
	m.cluster.moved = true
	m.leading = leading{}
	ticks := m.cluster.config.electionTicks()
	m.timeout = ticks + m.cluster.random.IntN(ticks)
	m.mark()
}

// stepDown makes a leader stop leading. It has found that it has no majority, or that there was a later election.
func (m *Member) stepDown(term uint64) {
	m.becomeFollower(term)
	m.follow(none)
	m.electionDue = m.tick(m.timeout)
}

// lastHeard returns when the others last heard of a leader that they have heard of until now.
func (m *Member) lastHeard() time.Time {
	if t := m.tick(0); t.After(m.leading.sent) {
		return t
	}
	return m.leading.sent
}

// stand makes a member stand for election, because it has not heard of its leader for too long. It first asks whether the others would
// vote for it. It becomes the leader if a majority would.
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
		case v.hearsOfLeader(): // v does not answer
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

// review computes what is due at a member that is awake. A follower may have stopped hearing of its leader. A leader may have members in
// reach that do not follow it, and may have lost its majority.
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

// failingCheck returns when a leader finds, at one of its checks, that it has lost its majority. active is how many members are in contact
// from now on. It includes the leader.
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
