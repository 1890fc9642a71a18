package etcdtest

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Compact discards the history before revision rev. When it returns, every member that runs and is not cut off
// from the leader has done so: no such member will serve an older revision to anyone. A member that is stopped or cut
// off does so when it catches up.
//
// The errors of a revision that is compacted already or does not exist yet are those of etcd's package mvcc,
// mvcc.ErrCompacted and mvcc.ErrFutureRev.
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
	etcd := c.Member(leader)
	if etcd == nil {
		return fmt.Errorf("member %d, the leader, has been stopped", leader)
	}
	if _, err := etcd.Server.Compact(ctx, &pb.CompactionRequest{Revision: rev, Physical: true}); err != nil {
		return err
	}

	c.mu.Lock()
	side := c.reach(leader)
	c.mu.Unlock()
	for _, i := range side {
		etcd := c.Member(i)
		if etcd == nil {
			continue
		}
		// Returns when the member has applied all that was agreed on before.
		if err := etcd.Server.LinearizableReadNotify(ctx); err != nil {
			return fmt.Errorf("wait for member %d to do so: %w", i, err)
		}
	}
	return nil
}
