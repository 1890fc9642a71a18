package etcdtest

import (
	"context"
	"fmt"
)

// Compact discards the history before revision rev. When it returns, every running member that can reach the leader has discarded it, and
// serves no older revision. A member that is stopped or partitioned discards the history when it catches up.
//
// If rev is compacted already, Compact returns mvcc.ErrCompacted. If rev does not exist yet, it returns mvcc.ErrFutureRev. Both are
// errors of etcd's package mvcc.
func (c *Cluster) Compact(ctx context.Context, rev int64) error {
	if err := c.compact(ctx, rev); err != nil {
		return fmt.Errorf("etcdtest: compact at revision %d: %w", rev, err)
	}
	return nil
}

func (c *Cluster) compact(ctx context.Context, rev int64) error {
	leader, err := c.WaitLeader(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	leads := c.members[leader].server
	c.mu.Unlock()
	if leads == nil {
		return fmt.Errorf("member %d, the leader, has been stopped", leader)
	}
	if err := leads.compact(ctx, rev); err != nil {
		return err
	}

	c.mu.Lock()
	side := make(map[int]server)
	for _, i := range c.reach(leader) {
		side[i] = c.members[i].server
	}
	c.mu.Unlock()
	for i, s := range side {
		if err := s.catchUp(ctx); err != nil {
			return fmt.Errorf("wait for member %d to do so: %w", i, err)
		}
	}
	return nil
}
