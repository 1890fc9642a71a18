package etcdtest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestWhenFreezeReturnsNoThreadOfABusyMemberRuns(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1, etcdtest.WithProcesses())
	keepBusy(t, cluster.Client(0))
	for i := range 50 {
		check(t, cluster.Freeze(0))
		if running := threadsThatRun(t, cluster.Pid(0)); len(running) > 0 {
			t.Errorf("promised: when Freeze returns, every thread of the process has stopped; after Freeze number %d these threads run: %v", i+1, running)
		}
		check(t, cluster.Thaw(0))
	}
}

// keepBusy reads from several goroutines until the test ends.
func keepBusy(t *testing.T, client *clientv3.Client) {
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		reading.Wait()
	})
	for range 8 {
		reading.Go(func() {
			for ctx.Err() == nil {
				client.Get(ctx, "key", clientv3.WithSerializable())
			}
		})
	}
}

// threadsThatRun returns the threads of a process that the kernel does not call stopped.
func threadsThatRun(t *testing.T, pid int) (running []string) {
	t.Helper()
	threads := must(filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)))(t)
	if len(threads) == 0 {
		t.Fatalf("process %d has no threads", pid)
	}
	for _, thread := range threads {
		stat := string(must(os.ReadFile(thread))(t))
		// The state follows the name. The name is in parentheses, and may contain parentheses.
		if !strings.HasPrefix(stat[strings.LastIndex(stat, ")")+1:], " T") {
			running = append(running, stat)
		}
	}
	return running
}
