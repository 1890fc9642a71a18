package members

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errDropped is the answer of a leader that is handing over. etcd has no code for it.
var errDropped = status.Error(codes.Unknown, "raft proposal dropped")

// Propose implements server.Member. apply is called with the cluster locked, so it must not call the cluster.
func (m *Member) Propose(ctx context.Context, apply func(index uint64)) error {
	c := m.cluster
	c.mu.Lock()
	defer c.unlock()
	e, sent, began, life := &entry{apply: apply}, false, time.Now(), m.life
	patience := context.Context(nil)
	for {
		switch {
		case !m.running || m.life != life:
			return rpctypes.ErrGRPCStopped
		case e.applied:
			return nil
		case !sent && !m.frozen && m.lead != none:
			if err := m.submit(e); err != nil {
				return err
			}
			sent = true
			continue // nearly always the change is applied by now
		case patience == nil:
			limited, cancel := context.WithTimeout(ctx, c.config.requestTimeout())
			defer cancel()
			patience = limited
		}
		if err := m.wait(patience); err != nil {
			m.forget(e)
			if sent && ctx.Err() == nil {
				return m.timedOut(began)
			}
			return err
		}
	}
}

// submit sends a change to the leader. The member knows a leader.
func (m *Member) submit(e *entry) error {
	if m.role == leader && m.leading.transferee != none {
		return errDropped
	}
	m.pass(e, len(m.cluster.members))
	e.applied = e.index != 0 && e.index <= m.log.upto
	if !e.applied {
		m.proposals = append(m.proposals, e)
	}
	return nil
}

// pass gives a change to a member. A leader appends the change to its log. Another member passes the change on to the leader. A change that
// does not arrive is lost.
func (m *Member) pass(e *entry, hops int) {
	switch {
	case m.role == leader && m.leading.transferee == none:
		m.append(e)
		m.contact()
	case m.role == leader, m.lead == none, hops == 0:
	default:
		l := m.cluster.members[m.lead]
		switch {
		case !l.running || !m.cluster.linked(m, l):
		case l.frozen:
			l.inbox = append(l.inbox, e)
		default:
			l.pass(e, hops-1)
		}
	}
}

// forget removes a change from those that the member waits for. It may still be committed.
func (m *Member) forget(e *entry) {
	for i, p := range m.proposals {
		if p == e {
			m.proposals = append(m.proposals[:i], m.proposals[i+1:]...)
			return
		}
	}
}

// timedOut returns the error of a change that was sent and was not applied in time. The proposal began at began.
func (m *Member) timedOut(began time.Time) error {
	c := m.cluster
	lost := m.elected.Add(-2 * c.config.Election)
	switch {
	case began.After(lost) && began.Before(m.elected):
		return rpctypes.ErrGRPCTimeoutDueToLeaderFail
	case m.lead == none:
		return rpctypes.ErrGRPCTimeout
	case m.lead != m.index && !m.connectedSince(c.members[m.lead], began):
		return rpctypes.ErrGRPCTimeoutDueToConnectionLost
	case m.lead == m.index && m.connectedCount(began) < c.quorum():
		return rpctypes.ErrGRPCTimeoutDueToConnectionLost
	}
	return rpctypes.ErrGRPCTimeout
}

// connectedSince reports whether the member has been connected with another since before a time.
func (m *Member) connectedSince(other *Member, began time.Time) bool {
	silent := other.frozen && time.Since(other.frozenAt) >= silentFor
	return other.running && !silent && other.upSince.Before(began) && m.upSince.Before(began)
}

// connectedCount returns the number of members with which the member, itself among them, has been connected since before a
// time.
func (m *Member) connectedCount(began time.Time) int {
	n := 0
	for _, other := range m.cluster.members {
		if other == m || m.connectedSince(other, began) {
			n++
		}
	}
	return n
}
