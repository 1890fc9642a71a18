package members

import (
	"slices"
	"time"
)

// A log is a member's copy of the log. The member has applied all changes up to a place, which are committed. It does not know whether the
// changes after it, the tail, are committed.
type log struct {
	upto     uint64
	lastTerm uint64 // of the change at upto
	tail     []*entry
}

// An entry is a change in the log.
type entry struct {
	term    uint64
	apply   func(index uint64) // nil if it changes no data
	index   uint64             // its place in the log, once it is committed
	applied bool               // at the member where it was proposed
}

// last returns the place and the term of the log's last change.
func (l *log) last() (index, term uint64) {
	if n := len(l.tail); n > 0 {
		return l.upto + uint64(n), l.tail[n-1].term
	}
	return l.upto, l.lastTerm
}

// behind reports whether l lacks a change that other has.
func (l *log) behind(other *log) bool {
	index, term := l.last()
	otherIndex, otherTerm := other.last()
	return term < otherTerm || term == otherTerm && index < otherIndex
}

// append adds a change to a leader's log.
func (m *Member) append(e *entry) {
	e.term = m.term
	m.log.tail = append(slices.Clip(m.log.tail), e)
}

// contact is one round of messages from a leader to all members that it reaches, and of their answers. These members then follow the leader
// and have its log. If they are a majority, the log is committed.
func (m *Member) contact() {
	c := m.cluster
	reached := c.reached(m)
	for _, f := range reached {
		if f.term > m.term {
			m.stepDown(f.term)
			return
		}
	}
	m.leading.sent = time.Now()
	majority := len(reached)+1 >= c.quorum()
	if majority && len(m.log.tail) > 0 {
		m.commit()
	}
	for _, f := range reached {
		f.hear(m)
	}
	if majority {
		m.answerReads()
	}
}

// commit commits what is in a leader's log, and applies it.
func (m *Member) commit() {
	c := m.cluster
	for _, e := range m.log.tail {
		c.commit++
		e.index = c.commit
		if e.apply != nil {
			e.apply(e.index)
		}
	}
	_, m.log.lastTerm = m.log.last()
	m.log.tail = nil
	m.applyUpTo(c.commit)
}

// hear makes a member take a message of the leader l.
func (m *Member) hear(l *Member) {
	if m.role != follower || m.term != l.term || m.lead != l.index {
		m.becomeFollower(l.term)
		m.follow(l.index)
	}
	m.electionDue = time.Time{}
	switch lag := l.log.upto - m.log.upto; {
	case lag == 0:
	case lag > m.cluster.config.CatchUp:
		m.restored = l.log.upto
		// etcd wakes the proposals of a change when it applies the change. A member that gets a state applies no changes, so its proposals wait
		// until they time out.
		m.proposals = slices.DeleteFunc(m.proposals, func(e *entry) bool { return e.index != 0 && e.index <= l.log.upto })
		m.applyUpTo(l.log.upto)
	default:
		m.applyUpTo(l.log.upto)
	}
	m.log.lastTerm, m.log.tail = l.log.lastTerm, l.log.tail
}

// applyUpTo applies the log up to a place.
func (m *Member) applyUpTo(upto uint64) {
	m.log.upto = upto
	m.mark()
	if len(m.proposals) == 0 {
		return
	}
	m.proposals = slices.DeleteFunc(m.proposals, func(e *entry) bool {
		e.applied = e.index != 0 && e.index <= upto
		return e.applied
	})
	m.wake()
}
