package etcdtest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestWatchers(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 2)
	clients := []*clientv3.Client{cluster.Client(0), cluster.Client(1)}
	wantWatchers := func(first, second int) {
		t.Helper()
		check(t, cluster.WaitWatchers(bounded(t), 0, first))
		check(t, cluster.WaitWatchers(bounded(t), 1, second))
		if a, b := cluster.Watchers(0), cluster.Watchers(1); a != first || b != second {
			t.Errorf("the members serve %d and %d watches, want %d and %d", a, b, first, second)
		}
	}

	wantWatchers(0, 0)
	ctx, cancel := context.WithCancel(t.Context())
	clients[0].Watch(ctx, "a")
	wantWatchers(1, 0)
	clients[0].Watch(ctx, "b")
	clients[0].Watch(clientv3.WithRequireLeader(ctx), "b") // on a separate stream
	clients[1].Watch(t.Context(), "c")
	wantWatchers(3, 1)

	// A refused watch does not count.
	rev := put(t, clients[0], "a", "value")
	check(t, cluster.Compact(bounded(t), rev))
	for range clients[1].Watch(t.Context(), "a", clientv3.WithRev(1)) {
	}
	wantWatchers(3, 1)

	cancel()
	wantWatchers(0, 1)
	cluster.Stop(1)
	if got := cluster.Watchers(1); got != 0 {
		t.Errorf("a stopped member serves %d watches", got)
	}
	check(t, cluster.Restart(bounded(t), 1))
	check(t, cluster.WaitWatchers(bounded(t), 1, 1)) // the client has resumed the watch
	clients[1].Close()
	check(t, cluster.WaitWatchers(bounded(t), 1, 0))
}

// etcd's own count is that of all servers in the process.
func TestWatchersAgreesWithEtcd(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1)
	client := cluster.Client()
	before := gauge(t, "etcd_debugging_mvcc_watcher_total")
	ctx, cancel := context.WithCancel(t.Context())
	for n := range 5 {
		client.Watch(ctx, "a")
		check(t, cluster.WaitWatchers(bounded(t), 0, n+1))
		if got := gauge(t, "etcd_debugging_mvcc_watcher_total") - before; got != n+1 {
			t.Errorf("etcd counts %d watches, want %d", got, n+1)
		}
	}
	cancel()
	check(t, cluster.WaitWatchers(bounded(t), 0, 0))
	if got := gauge(t, "etcd_debugging_mvcc_watcher_total") - before; got != 0 {
		t.Errorf("etcd counts %d watches, want none", got)
	}
}

func TestWaitWatchersGivesUpWithItsContext(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := cluster.WaitWatchers(ctx, 0, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a watch that is never opened gives %v", err)
	}
}

func gauge(t *testing.T, name string) int {
	t.Helper()
	for _, family := range must(prometheus.DefaultGatherer.Gather())(t) {
		if family.GetName() == name {
			return int(family.GetMetric()[0].GetGauge().GetValue())
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
