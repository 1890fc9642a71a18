package etcdtest_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/connectivity"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestStopAndRestartOne(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	one, others := cluster.Client(0), cluster.Client(1, 2)
	rev := put(t, one, "key", "before")
	broken := one.Watch(t.Context(), "key", clientv3.WithRev(rev+1))

	began := time.Now()
	cluster.Stop(0)
	t.Logf("stopped in %v, with an open watch", time.Since(began))
	cluster.Stop(0) // does nothing: the member is stopped
	if cluster.Member(0) != nil {
		t.Error("a stopped member has a server")
	}
	must(cluster.WaitLeader(bounded(t)))(t)
	put(t, others, "key", "while it is stopped")

	began = time.Now()
	check(t, cluster.Restart(bounded(t), 0))
	check(t, cluster.Restart(bounded(t), 0)) // does nothing: the member runs
	t.Logf("restarted in %v", time.Since(began))
	began = time.Now()
	wantValue(t, one, "key", "while it is stopped")
	t.Logf("the client can read again after %v", time.Since(began))
	if got := string((<-broken).Events[0].Kv.Value); got != "while it is stopped" {
		t.Errorf("the watch resumes with %q", got)
	}
}

func TestStopBreaksConnections(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1)
	client := cluster.Client()
	put(t, client, "key", "value")
	cluster.Stop()
	if !client.ActiveConnection().WaitForStateChange(bounded(t), connectivity.Ready) {
		t.Error("the client is still connected")
	}
	if conn, err := net.Dial("unix", strings.TrimPrefix(cluster.Endpoints()[0], "unix://")); err == nil {
		conn.Close()
		t.Error("something listens at the address of a stopped member")
	}
	check(t, cluster.Restart(bounded(t)))
	wantValue(t, client, "key", "value")
}

func TestStopAndRestartAll(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	client := cluster.Client()
	endpoints := cluster.Endpoints()
	for range 3 {
		rev := put(t, client, "key", "value")
		cluster.Stop()
		check(t, cluster.Restart(bounded(t)))
		if got := must(client.Get(bounded(t), "key"))(t).Kvs[0].ModRevision; got != rev {
			t.Errorf("after the restart the key is of revision %d, want %d", got, rev)
		}
	}
	for i, endpoint := range cluster.Endpoints() {
		if endpoint != endpoints[i] {
			t.Errorf("member %d has moved from %s to %s", i, endpoints[i], endpoint)
		}
	}
}

func TestRestartDoesNotWaitForALeaderWithoutAQuorum(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	put(t, cluster.Client(), "key", "value")
	cluster.Stop()
	check(t, cluster.Restart(bounded(t), 0))
	if _, ok := cluster.Leader(); ok {
		t.Error("one member of three leads")
	}
	cluster.Stop(0) // a member that has never served must not hang
	check(t, cluster.Restart(bounded(t), 0))
	check(t, cluster.Restart(bounded(t), 1))
	wantValue(t, cluster.Client(0), "key", "value")
}

func TestRestartGivesUpWithItsContext(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	cluster.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cluster.Restart(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Restart with a cancelled context gives %v", err)
	}
	check(t, cluster.Restart(bounded(t))) // the members were started despite that error
	must(cluster.WaitLeader(bounded(t)))(t)
}
