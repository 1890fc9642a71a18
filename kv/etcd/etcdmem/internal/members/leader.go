package members

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errClosed is the error of WaitLeader after Close.
var errClosed = errors.New("the cluster is closed")

// errTransferTimeout is the answer of a leader that could not hand over in time. etcd has no code for it.
var errTransferTimeout = status.Error(codes.Unknown, "etcdserver: request timed out, leader transfer took too long")

// Leader returns the member that leads. A majority of the members are awake and reach each other, and all of these follow the leader.
// Leader returns false if there is no such member.
func (c *Cluster) Leader() (member int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreed()
}

func (c *Cluster) agreed() (member int, ok bool) {
	for i, m := range c.members {
		side := c.reach(i)
		if len(side) < c.quorum() {
			continue
		}
		ok := slices.Contains(side, m.lead) && !slices.ContainsFunc(side, func(j int) bool { return c.members[j].lead != m.lead })
		return m.lead, ok // two sides cannot both be a majority
	}
	return none, false
}

// WaitLeader waits until there is a leader in the sense of Leader, and returns it.
func (c *Cluster) WaitLeader(ctx context.Context) (int, error) {
	for {
		c.mu.Lock()
		leader, ok := c.agreed()
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed, closed := c.changed, c.closed
		c.mu.Unlock()
		switch {
		case ok:
			return leader, nil
		case closed:
			return 0, errClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// MoveLeader implements server.Member.
func (m *Member) MoveLeader(ctx context.Context, to uint64) error {
	c := m.cluster
	c.mu.Lock()
	defer c.unlock()
	target := slices.IndexFunc(c.members, func(other *Member) bool { return other.info.ID == to })
	switch {
	case !m.running:
		return rpctypes.ErrGRPCStopped
	case !m.leads():
		return rpctypes.ErrGRPCNotLeader
	case target < 0:
		return rpctypes.ErrGRPCBadLeaderTransferee
	}
	m.transfer(c.members[target])
	for life := m.life; m.lead != target; {
		if !m.running || m.life != life {
			return rpctypes.ErrGRPCStopped
		}
		if err := m.wait(ctx); err != nil {
			return errTransferTimeout
		}
	}
	return nil
}

// transfer makes a leader hand over to the member to. If the leader's message reaches that member, and its log has all changes, the member
// stands for election at once. The other members may vote for it although they hear of their leader. If the member is not elected now,
// the leader waits for it as long as an election takes.
func (m *Member) transfer(to *Member) {
	c := m.cluster
	if m == to || m.leading.transferee == to.index {
		return
	}
	m.leading.transferee, m.leading.transferDue = to.index, time.Now().Add(c.config.Election)
	c.moved = true
	if to.lead != m.index || !to.hears() || to.log.behind(&m.log) {
		return
	}
	votes := slices.DeleteFunc(c.reached(to), func(v *Member) bool { return v.term > to.term || to.log.behind(&v.log) })
	if len(votes)+1 >= c.quorum() {
		to.win(votes)
	}
}

// abortTransfer ends a handover. The leader continues to lead.
func (m *Member) abortTransfer() {
	m.leading.transferee, m.leading.transferDue = none, time.Time{}
}
