package etcdmem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// A leader silently gives up a transfer after the time of an election. etcd's own call still waits then.
func TestMoveLeaderTriesAgainOnceTheMemberIsBack(t *testing.T) {
	for name, fault := range map[string]struct {
		harm, mend func(c *etcdmem.Cluster, member int) error
	}{
		"after a partition": {
			func(c *etcdmem.Cluster, member int) error { c.Partition(member); return nil },
			func(c *etcdmem.Cluster, _ int) error { c.Heal(); return nil },
		},
		"after it was frozen": {
			func(c *etcdmem.Cluster, member int) error { return c.Freeze(member) },
			func(c *etcdmem.Cluster, member int) error { return c.Thaw(member) },
		},
		"after it was stopped": {
			func(c *etcdmem.Cluster, member int) error { c.Stop(member); return nil },
			func(c *etcdmem.Cluster, member int) error { return c.Restart(context.Background(), member) },
		},
		"when all were replaced": {
			func(c *etcdmem.Cluster, member int) error { c.Partition(member); return nil },
			func(c *etcdmem.Cluster, _ int) error { c.Heal(); return c.Replace(context.Background()) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				synctest.Test(t, func(t *testing.T) {
					cluster := etcdmem.Start(t, 3, etcdmem.WithSeed(seed))
					leader, err := cluster.WaitLeader(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					to := (leader + 1) % 3
					if err := fault.harm(cluster, to); err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					moved := make(chan error, 1)
					go func() { moved <- cluster.MoveLeader(ctx, to) }()
					time.Sleep(5 * time.Second)
					if err := fault.mend(cluster, to); err != nil {
						t.Fatal(err)
					}
					began := time.Now()
					if err := <-moved; err != nil {
						t.Fatalf("promised: MoveLeader tries for as long as its context allows; with the seed %d it returned %v, %v after member %d was mended",
							seed, err, time.Since(began), to)
					}
					if took := time.Since(began); took > 10*time.Second {
						t.Errorf("with the seed %d MoveLeader took %v after the mend", seed, took)
					}
				})
			}
		})
	}
}

func TestMoveLeaderEndsWithTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 3)
		leader, err := cluster.WaitLeader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		to := (leader + 1) % 3
		cluster.Partition(to)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		moved := make(chan error, 1)
		go func() { moved <- cluster.MoveLeader(ctx, to) }()
		synctest.Wait()
		cluster.Close()
		if err := <-moved; err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after Close MoveLeader returned %v", err)
		}
	})
}
