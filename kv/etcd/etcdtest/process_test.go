package etcdtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/mvcc"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// doomedVariable makes this program start a cluster, freeze it, and wait to be killed.
const doomedVariable = "WATCHKV_ETCDTEST_DOOMED"

func TestMain(m *testing.M) {
	etcdtest.RunMember()
	if os.Getenv(doomedVariable) != "" {
		beDoomed()
	}
	os.Exit(m.Run())
}

func TestProcessesAreKilledAndKeepTheirData(t *testing.T) {
	leaktest.Check(t)
	began := time.Now()
	cluster := etcdtest.Start(t, 3, etcdtest.WithProcesses())
	t.Logf("started in %v", time.Since(began))
	client := cluster.Client()
	for range 3 {
		rev := put(t, client, "key", "value")
		began = time.Now()
		cluster.Stop()
		stopped := time.Since(began)
		if _, ok := cluster.Leader(); ok {
			t.Error("all members are stopped, but a member leads")
		}
		check(t, cluster.Restart(bounded(t)))
		t.Logf("killed in %v, restarted in %v", stopped, time.Since(began)-stopped)
		if got := must(client.Get(bounded(t), "key"))(t).Kvs[0].ModRevision; got != rev {
			t.Errorf("after the restart the key is of revision %d, want %d", got, rev)
		}
	}
	if cluster.Member(0) != nil {
		t.Error("a member in a separate process has a server in this process")
	}
}

func TestFreezeTheLeader(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3, etcdtest.WithProcesses())
	old := must(cluster.WaitLeader(bounded(t)))(t)
	others := cluster.Client((old+1)%3, (old+2)%3)
	put(t, others, "key", "before")

	check(t, cluster.Freeze(old))
	check(t, cluster.Freeze(old)) // does nothing: the member is frozen
	if leader := must(cluster.WaitLeader(bounded(t)))(t); leader == old {
		t.Fatalf("member %d is frozen, but leads", old)
	}
	put(t, others, "key", "while it is frozen")

	// The frozen member accepts connections, but does not answer.
	path := strings.TrimPrefix(cluster.Endpoints(old)[0], "unix://")
	must(net.Dial("unix", path))(t).Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	frozen := cluster.Client(old)
	if _, err := frozen.Get(ctx, "key", clientv3.WithSerializable()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a frozen member answered: %v", err)
	}

	check(t, cluster.Thaw(old))
	wantValue(t, frozen, "key", "while it is frozen")
	must(cluster.WaitLeader(bounded(t)))(t) // until all three members follow one leader
}

func TestStopEndsAFrozenMember(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3, etcdtest.WithProcesses())
	check(t, cluster.Freeze(1))
	check(t, cluster.Restart(bounded(t), 1)) // does nothing: the member is not stopped
	cluster.Stop(1)
	check(t, cluster.Thaw(1)) // does nothing: the member is stopped
	check(t, cluster.Restart(bounded(t), 1))
	put(t, cluster.Client(1), "key", "value")
}

func TestAProcessThatEndsByItself(t *testing.T) {
	leaktest.Check(t)
	cluster := must(etcdtest.New(3, etcdtest.WithProcesses()))(t)
	defer cluster.Close()
	check(t, cluster.MoveLeader(bounded(t), 0)) // because a write on its way to a killed leader would be lost
	check(t, cluster.KillBehindItsBack(1))
	put(t, cluster.Client(0, 2), "key", "while it is gone")
	check(t, cluster.Restart(bounded(t)))
	wantValue(t, cluster.Client(1), "key", "while it is gone")
	if err := cluster.Close(); err == nil || !strings.Contains(err.Error(), "member 1 has ended by itself") {
		t.Errorf("Close gives %v", err)
	}
}

func TestFreezeNeedsAProcess(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1)
	if err := cluster.Freeze(0); err == nil {
		t.Error("a member in this process was frozen")
	}
}

func TestPartitionOfProcesses(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3, etcdtest.WithProcesses())
	old := must(cluster.WaitLeader(bounded(t)))(t)
	minority, majority := cluster.Client(old), cluster.Client((old+1)%3, (old+2)%3)
	put(t, majority, "key", "before")

	cluster.Partition(old)
	if leader := must(cluster.WaitLeader(bounded(t)))(t); leader == old {
		t.Fatalf("member %d is partitioned, but leads", old)
	}
	put(t, majority, "key", "behind its back")
	wantValue(t, minority, "key", "before", clientv3.WithSerializable())

	// A partition outlasts a kill.
	cluster.Stop(old)
	check(t, cluster.Restart(bounded(t), old))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := minority.Get(ctx, "key"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a linearizable read on the partitioned side was answered: %v, %v", got, err)
	}

	cluster.Heal()
	wantValue(t, minority, "key", "behind its back")
}

func TestPartitionOfAFrozenMember(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3, etcdtest.WithProcesses())
	check(t, cluster.MoveLeader(bounded(t), 0))
	check(t, cluster.Freeze(2))
	cluster.Partition(2)
	check(t, cluster.Thaw(2))
	put(t, cluster.Client(0, 1), "key", "behind its back")
	wantValue(t, cluster.Client(2), "key", "", clientv3.WithSerializable())
	cluster.Heal()
	wantValue(t, cluster.Client(2), "key", "behind its back")
}

func TestMoveLeaderBetweenProcesses(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3, etcdtest.WithProcesses())
	for _, to := range []int{0, 1, 2, 0} {
		check(t, cluster.MoveLeader(bounded(t), to))
		if leader, ok := cluster.Leader(); !ok || leader != to {
			t.Errorf("member %d leads (%t), want %d", leader, ok, to)
		}
	}
}

func TestCompactProcesses(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3, etcdtest.WithProcesses())
	put(t, cluster.Client(), "key", "old")
	rev := put(t, cluster.Client(), "key", "new")
	check(t, cluster.Compact(bounded(t), rev))
	for i := range 3 {
		watch := cluster.Client(i).Watch(bounded(t), "key", clientv3.WithRev(1))
		if got := (<-watch).CompactRevision; got != rev {
			t.Errorf("member %d refuses a watch with the compaction revision %d, want %d", i, got, rev)
		}
	}
	if err := cluster.Compact(bounded(t), rev); !errors.Is(err, mvcc.ErrCompacted) {
		t.Errorf("a second compaction gives %v", err)
	}
	if err := cluster.Compact(bounded(t), rev+100); !errors.Is(err, mvcc.ErrFutureRev) {
		t.Errorf("a compaction at a future revision gives %v", err)
	}
}

func TestWatchersOfAProcess(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 2, etcdtest.WithProcesses())
	client := cluster.Client(0)
	ctx, cancel := context.WithCancel(t.Context())
	client.Watch(ctx, "a")
	client.Watch(ctx, "b")
	check(t, cluster.WaitWatchers(bounded(t), 0, 2))
	cancel()
	check(t, cluster.WaitWatchers(bounded(t), 0, 0))
	client.Watch(t.Context(), "a")
	check(t, cluster.WaitWatchers(bounded(t), 0, 1))
	cluster.Stop(0)
	check(t, cluster.WaitWatchers(bounded(t), 0, 0))
}

func TestBackupRestoreAndReplaceProcesses(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3, etcdtest.WithProcesses())
	client := cluster.Client()
	put(t, client, "key", "kept")
	backup := must(cluster.Backup(bounded(t)))(t)
	put(t, client, "key", "lost")
	check(t, cluster.Restore(bounded(t), backup))
	wantValue(t, client, "key", "kept")
	check(t, cluster.Replace(bounded(t)))
	wantValue(t, client, "key", "")
}

func TestLogsOfProcesses(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1, etcdtest.WithProcesses())
	check(t, cluster.Close())
	if logs := cluster.Logs(); !strings.Contains(logs, "m0") || !strings.Contains(logs, "starting an etcd server") {
		t.Errorf("the logs lack what etcd logs when it starts:\n%s", logs)
	}
}

func TestProcessesReportErrors(t *testing.T) {
	leaktest.Check(t)
	_, err := etcdtest.New(1, etcdtest.WithProcesses(), etcdtest.WithConfig(func(int, *embed.Config) {}))
	if err == nil || !strings.Contains(err.Error(), "WithConfig") {
		t.Errorf("with a configuration that cannot be passed on, New gives %v", err)
	}
}

// A program that was killed cannot end its members, and a frozen member cannot end itself.
func TestNoProcessOutlivesItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("on this system a frozen member stays until it is thawed")
		return
	}
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), doomedVariable+"=1")
	parent.Stderr = t.Output()
	out := must(parent.StdoutPipe())(t)
	check(t, parent.Start())
	lines := bufio.NewScanner(out)
	var members []net.Conn
	for range 2 {
		if !lines.Scan() {
			t.Fatal("the test itself: the program has ended before it was killed")
		}
		conn := must(net.Dial("unix", lines.Text()))(t)
		defer conn.Close()
		members = append(members, conn)
	}

	check(t, parent.Process.Kill())
	for i, conn := range members {
		check(t, conn.SetDeadline(time.Now().Add(within)))
		buf := make([]byte, 1024)
		var err error
		for err == nil { // until the connection breaks; a live server sends bytes first
			_, err = conn.Read(buf)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("member %d still runs", i)
		}
	}
	parent.Wait()
}

func beDoomed() {
	cluster, err := etcdtest.New(2, etcdtest.WithProcesses())
	if err == nil {
		err = cluster.Freeze(1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, endpoint := range cluster.Endpoints() {
		fmt.Println(strings.TrimPrefix(endpoint, "unix://"))
	}
	select {}
}
