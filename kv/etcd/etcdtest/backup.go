package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// A Backup is a copy of all data of a cluster's members, made by [Cluster.Backup]. It is removed when the cluster is closed.
type Backup struct {
	cluster *Cluster
	dir     string
}

// Backup copies the data of all members. It stops the members for a small part of a second, so that the copies agree. It
// returns when the members that ran before serve again. Clients see the same as when all members are restarted.
func (c *Cluster) Backup(ctx context.Context) (*Backup, error) {
	b, err := c.backup(ctx)
	if err != nil {
		return nil, fmt.Errorf("etcdtest: back up: %w", err)
	}
	return b, nil
}

func (c *Cluster) backup(ctx context.Context) (b *Backup, err error) {
	var running []int
	err = c.inTurn(func() error {
		running = c.running()
		c.stop(c.all())
		b, err = c.copyAll()
		return errors.Join(err, c.launch(running))
	})
	if err != nil {
		return nil, err
	}
	return b, c.waitReady(ctx, running)
}

// copyAll copies the data of all members. All members must be stopped. The caller holds turn.
func (c *Cluster) copyAll() (*Backup, error) {
	c.backups++
	b := &Backup{cluster: c, dir: filepath.Join(c.dir, fmt.Sprintf("backup-%d", c.backups))}
	for i, m := range c.members {
		if err := os.CopyFS(b.member(i), os.DirFS(m.dir)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// member returns the directory with the data of member i.
func (b *Backup) member(i int) string { return filepath.Join(b.dir, strconv.Itoa(i)) }

// Restore replaces the data of all members with those of b, like an operator who restores the data directories of a cluster
// from a backup. It returns when all members serve again, including those that were stopped before. Writes since the backup
// are gone, and the revision is that of the backup. The identities of cluster and members are unchanged. So clients are not
// notified of the restore. A backup can be restored any number of times, also after [Cluster.Replace].
func (c *Cluster) Restore(ctx context.Context, b *Backup) error {
	if b.cluster != c {
		return errors.New("etcdtest: restore: the backup is of another cluster")
	}
	err := c.renew(ctx, func(i int, m *member) error { return os.CopyFS(m.dir, os.DirFS(b.member(i))) })
	if err != nil {
		return fmt.Errorf("etcdtest: restore: %w", err)
	}
	return nil
}

// Replace stops all members for good, and starts an empty cluster with another identity on their addresses. It returns when
// all members of the new cluster serve.
func (c *Cluster) Replace(ctx context.Context) error {
	err := c.renew(ctx, func(int, *member) error { return nil })
	if err != nil {
		return fmt.Errorf("etcdtest: replace: %w", err)
	}
	return nil
}

// renew stops all members, discards their data, calls fill to put other data in its place, and starts the members.
func (c *Cluster) renew(ctx context.Context, fill func(int, *member) error) error {
	err := c.inTurn(func() error {
		c.generation++
		c.stop(c.all())
		for i, m := range c.members {
			if err := os.RemoveAll(m.dir); err != nil {
				return err
			}
			if err := fill(i, m); err != nil {
				return err
			}
		}
		return c.launch(c.all())
	})
	if err != nil {
		return err
	}
	return c.waitReady(ctx, c.all())
}

// running returns the members that are not stopped.
func (c *Cluster) running() []int {
	var running []int
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, m := range c.members {
		if m.started() {
			running = append(running, i)
		}
	}
	return running
}
