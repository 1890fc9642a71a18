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
	t.Logf("another leader after %v", time.Since(began))
	if leader == old {
		t.Fatalf("member %d leads although it is cut off", old)
	}
	put(t, majority, "key", "behind its back")
	wantValue(t, minority, "key", "before", clientv3.WithSerializable())

	// The cut-off side cannot know what is newest, and does not pretend to.
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
		t.Errorf("a linearizable read on the cut-off side is answered: %v, %v", a.resp, a.err)
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

func TestPartitionOutlastsRestart(t *testing.T) {
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
		t.Errorf("member 0 follows %v although it is cut off", id)
	}

	// The others come and go, and it is still cut off from them.
	cluster.Stop(1, 2)
	check(t, cluster.Restart(bounded(t), 1, 2))
	put(t, majority, "key", "after")
	if id := cluster.Member(0).Server.Leader(); id != 0 {
		t.Errorf("member 0 follows %v although it is cut off", id)
	}

	cluster.Heal()
	check(t, cluster.Restart(bounded(t), 0)) // it runs, so this only waits until it serves
	wantValue(t, cluster.Client(0), "key", "after")
}

func TestPartitionsAddUp(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 5)
	cluster.Partition(0)
	cluster.Partition(1)
	if leader := must(cluster.WaitLeader(bounded(t)))(t); leader < 2 {
		t.Errorf("member %d leads although it is cut off", leader)
	}
	put(t, cluster.Client(2), "key", "by three of five")

	cluster.Partition(2)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if leader, err := cluster.WaitLeader(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with no majority member %d leads (%v)", leader, err)
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
	cluster.Partition(0, 1, 2) // those three still reach each other
	if leader := must(cluster.WaitLeader(bounded(t)))(t); leader > 2 {
		t.Errorf("member %d leads although it is on the smaller side", leader)
	}
	put(t, cluster.Client(0, 1, 2), "key", "value")
}
