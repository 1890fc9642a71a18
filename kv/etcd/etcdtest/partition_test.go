package etcdtest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestPartitionOfTheLeader(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	old := must(cluster.WaitLeader(bounded(t)))(t)
	minority, majority := cluster.Client(old), cluster.Client((old+1)%3, (old+2)%3)
	put(t, minority, "key", "before")

	began := time.Now()
	cluster.Partition(old)
	leader := must(cluster.WaitLeader(bounded(t)))(t)
	t.Logf("a new leader after %v", time.Since(began))
	if leader == old {
		t.Fatalf("member %d is partitioned, but leads", old)
	}
	put(t, majority, "key", "behind its back")
	wantValue(t, minority, "key", "before", clientv3.WithSerializable())

	// The partitioned side cannot know the newest value, so it must not answer.
	ctx, cancel := context.WithCancel(t.Context())
	type answer struct {
		resp *clientv3.GetResponse
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		resp, err := minority.Get(ctx, "key")
		answered <- answer{resp, err}
	}()
	put(t, majority, "key", "after")
	select {
	case a := <-answered:
		t.Errorf("a linearizable read on the partitioned side was answered: %v, %v", a.resp, a.err)
	default:
	}
	cancel()
	if a := <-answered; !errors.Is(a.err, context.Canceled) {
		t.Errorf("a cancelled read gives %v, %v", a.resp, a.err)
	}

	began = time.Now()
	cluster.Heal()
	must(cluster.WaitLeader(bounded(t)))(t)
	t.Logf("one leader again %v after the heal", time.Since(began))
	wantValue(t, minority, "key", "after")
}

func TestPartitionSurvivesRestart(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	majority := cluster.Client(1, 2)
	put(t, majority, "key", "before")

	cluster.Partition(0)
	cluster.Stop(0)
	check(t, cluster.Restart(bounded(t), 0))
	must(cluster.WaitLeader(bounded(t)))(t)
	for range 100 {
		put(t, majority, "key", "behind its back")
	}
	if id := cluster.Member(0).Server.Leader(); id != 0 {
		t.Errorf("member 0 is partitioned, but follows %v", id)
	}

	// The other members restart. The partition must outlast that.
	cluster.Stop(1, 2)
	check(t, cluster.Restart(bounded(t), 1, 2))
	put(t, majority, "key", "after")
	if id := cluster.Member(0).Server.Leader(); id != 0 {
		t.Errorf("member 0 is partitioned, but follows %v", id)
	}

	cluster.Heal()
	check(t, cluster.Restart(bounded(t), 0)) // the member runs, so this only waits until it serves
	wantValue(t, cluster.Client(0), "key", "after")
}

func TestPartitionsAddUp(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 5)
	cluster.Partition(0)
	cluster.Partition(1)
	if leader := must(cluster.WaitLeader(bounded(t)))(t); leader < 2 {
		t.Errorf("member %d is partitioned, but leads", leader)
	}
	put(t, cluster.Client(2), "key", "by three of five")

	cluster.Partition(2)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if leader, err := cluster.WaitLeader(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a majority, member %d leads (%v)", leader, err)
	}

	cluster.Heal()
	must(cluster.WaitLeader(bounded(t)))(t)
	for i := range 5 {
		wantValue(t, cluster.Client(i), "key", "by three of five")
	}
}

func TestPartitionInTwo(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 5)
	cluster.Partition(0, 1, 2) // these three members still reach each other
	if leader := must(cluster.WaitLeader(bounded(t)))(t); leader > 2 {
		t.Errorf("member %d is on the smaller side, but leads", leader)
	}
	put(t, cluster.Client(0, 1, 2), "key", "value")
}
