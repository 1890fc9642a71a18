package etcdtest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestMoveLeader(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	client := cluster.Client()
	for _, to := range []int{0, 1, 2, 2, 0} {
		began := time.Now()
		check(t, cluster.MoveLeader(bounded(t), to))
		if leader, ok := cluster.Leader(); !ok || leader != to {
			t.Errorf("member %d leads (%t), want %d", leader, ok, to)
		}
		t.Logf("moved to %d in %v", to, time.Since(began))
		put(t, client, "key", "value")
	}
}

func TestMoveLeaderToAMemberThatCannotLead(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	check(t, cluster.MoveLeader(bounded(t), 0))
	cluster.Stop(1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := cluster.MoveLeader(ctx, 1)
	if err == nil || !strings.Contains(err.Error(), "member 1 is stopped") {
		t.Errorf("MoveLeader to a stopped member gives %v", err)
	}
}

func TestLeaderStops(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	old := must(cluster.WaitLeader(bounded(t)))(t)
	began := time.Now()
	cluster.Stop(old)
	if leader, ok := cluster.Leader(); ok && leader == old {
		t.Errorf("member %d is stopped, but leads", old)
	}
	if leader := must(cluster.WaitLeader(bounded(t)))(t); leader == old {
		t.Errorf("member %d is stopped, but leads", old)
	}
	t.Logf("a new leader after %v", time.Since(began))
	put(t, cluster.Client((old+1)%3, (old+2)%3), "key", "value")
}

func TestCloseEndsAWaitForALeader(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	cluster.Stop()
	waited := make(chan error)
	go func() {
		_, err := cluster.WaitLeader(bounded(t))
		waited <- err
	}()
	check(t, cluster.Close())
	if err := <-waited; err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("WaitLeader gives %v when the cluster is closed", err)
	}
	for what, err := range map[string]error{
		"to move its leader": cluster.MoveLeader(bounded(t), 0),
		"to compact it":      cluster.Compact(bounded(t), 1),
	} {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s gives %v", what, err)
		}
	}
}
