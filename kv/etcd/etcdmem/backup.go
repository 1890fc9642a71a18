package etcdmem

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/members"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

// A Backup is a copy of all data of a cluster's members, made by [Cluster.Backup].
type Backup struct {
	cluster    *Cluster
	generation int
	members    *members.Backup
	state      *server.State
}

// Backup copies the data of all members. It stops the members for a moment, so that the copies agree, and returns when those
// that ran before serve again. Clients see the same as when the whole cluster is restarted.
func (c *Cluster) Backup(ctx context.Context) (*Backup, error) {
	b := &Backup{cluster: c}
	var running []int
	err := c.inTurn(func() (err error) {
		running = c.running()
		c.stopAll(c.chosen(nil))
		b.generation, b.state = c.generation, c.state.Copy()
		b.members, err = c.members.Backup()
		return errors.Join(err, c.launchAll(running))
	})
	if err == nil {
		err = c.waitReady(ctx, running)
	}
	if err != nil {
		return nil, fmt.Errorf("etcdmem: back up: %w", err)
	}
	return b, nil
}

// running returns the members that are not stopped.
func (c *Cluster) running() (running []int) {
	for i := range c.size {
		if c.node(i) != nil {
			running = append(running, i)
		}
	}
	return running
}

// Restore replaces the data of all members by those of b, like an operator who restores the data directories of a cluster from a
// backup. It returns when all members serve again, including those that were stopped before. Writes since the backup
// are gone, and the revision is that of the backup. The identities of cluster and members are those of the backup, so clients
// get no sign of the restore. A backup can be restored any number of times, also after [Cluster.Replace].
func (c *Cluster) Restore(ctx context.Context, b *Backup) error {
	if b.cluster != c {
		return errors.New("etcdmem: restore: the backup is of another cluster")
	}
	err := c.inTurn(func() error {
		c.stopAll(c.chosen(nil))
		c.members.Close()
		newest := c.generation
		c.generation = b.generation
		m := c.newMembers()
		c.generation = newest
		for i := range c.size {
			m.Stop(i)
		}
		if err := m.Restore(b.members); err != nil {
			return err
		}
		c.begin(m, b.state.Copy())
		return c.launchAll(c.chosen(nil))
	})
	if err == nil {
		err = c.waitReady(ctx, c.chosen(nil))
	}
	if err != nil {
		return fmt.Errorf("etcdmem: restore: %w", err)
	}
	return nil
}

// Replace stops all members for good, and starts an empty cluster with another identity on their addresses. It returns when
// all members of the new cluster serve.
func (c *Cluster) Replace(ctx context.Context) error {
	err := c.inTurn(func() error {
		c.stopAll(c.chosen(nil))
		c.members.Close()
		c.generation++
		c.begin(c.newMembers(), server.NewState(c.options.revision))
		return c.launchAll(c.chosen(nil))
	})
	if err == nil {
		err = c.waitReady(ctx, c.chosen(nil))
	}
	if err != nil {
		return fmt.Errorf("etcdmem: replace: %w", err)
	}
	return nil
}

// Compact discards the history before revision rev. When it returns, every member that runs and is not cut off from the
// leader has done so. A member that is stopped or cut off does so when it catches up.
//
// The errors of a revision that is compacted already or does not exist yet are rpctypes.ErrCompacted and
// rpctypes.ErrFutureRev.
func (c *Cluster) Compact(ctx context.Context, rev int64) error {
	err := c.compact(ctx, rev)
	if err != nil {
		return fmt.Errorf("etcdmem: compact at revision %d: %w", rev, rpctypes.Error(err))
	}
	return nil
}

func (c *Cluster) compact(ctx context.Context, rev int64) error {
	leader, err := c.now().WaitLeader(ctx)
	if err != nil {
		return err
	}
	n := c.node(leader)
	if n == nil {
		return fmt.Errorf("member %d, the leader, has been stopped", leader)
	}
	if err := n.server.Compact(ctx, rev); err != nil {
		return err
	}
	// A linearizable read of each member returns when it has applied the compaction.
	for _, i := range c.now().Reach(leader) {
		if n := c.node(i); n != nil {
			if err := n.member.ReadIndex(ctx); err != nil {
				return fmt.Errorf("wait for member %d to do so: %w", i, err)
			}
		}
	}
	return nil
}
