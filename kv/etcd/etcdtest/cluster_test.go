package etcdtest_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// within is how long an operation may take before a test calls it stuck.
const within = 30 * time.Second

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, c *clientv3.Client, key, value string) int64 {
	t.Helper()
	return must(c.Put(bounded(t), key, value))(t).Header.Revision
}

// wantValue checks the value of a key that c reads. An empty want means that the key does not exist.
func wantValue(t *testing.T, c *clientv3.Client, key, want string, opts ...clientv3.OpOption) {
	t.Helper()
	got := ""
	for _, kv := range must(c.Get(bounded(t), key, opts...))(t).Kvs {
		got = string(kv.Value)
	}
	if got != want {
		t.Fatalf("%s is %q, want %q", key, got, want)
	}
}

func TestStartTakesNoTime(t *testing.T) {
	leaktest.Check(t)
	for _, members := range []int{1, 3, 5} {
		began := time.Now()
		cluster := etcdtest.Start(t, members)
		started := time.Since(began)

		if got := cluster.Size(); got != members {
			t.Errorf("the cluster has %d members, want %d", got, members)
		}
		client := cluster.Client()
		put(t, client, "key", "value")
		client.Watch(t.Context(), "key") // an open watch must not delay the end

		began = time.Now()
		check(t, cluster.Close())
		t.Logf("%d members: started in %v, closed in %v", members, started, time.Since(began))
		check(t, cluster.Close())
	}
}

func TestEachMemberServesItsOwnClients(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	for i := range 3 {
		client := cluster.Client(i)
		put(t, client, "key", fmt.Sprint(i))
		status := must(client.Status(bounded(t), cluster.Endpoints(i)[0]))(t)
		if got, want := status.Header.MemberId, uint64(cluster.Member(i).Server.MemberID()); got != want {
			t.Errorf("a client of member %d reached member %x, want %x", i, got, want)
		}
	}
	all := cluster.Endpoints()
	if got, want := cluster.Client(2, 0).Endpoints(), []string{all[2], all[0]}; !slices.Equal(got, want) {
		t.Errorf("a client of members 2 and 0 has the endpoints %v, want %v", got, want)
	}
}

func TestAClientThatAsksForTheMembersFindsThem(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	client := cluster.Client(0)
	check(t, client.Sync(bounded(t)))
	got, want := client.Endpoints(), cluster.Endpoints()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the members name the addresses %v for clients, but listen at %v", got, want)
	}
}

func TestClustersRunConcurrently(t *testing.T) {
	leaktest.Check(t)
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			cluster := etcdtest.Start(t, 3)
			client := cluster.Client()
			put(t, client, "key", t.Name())
			cluster.Stop()
			check(t, cluster.Restart(bounded(t)))
			wantValue(t, client, "key", t.Name())
		})
	}
}

func TestNew(t *testing.T) {
	leaktest.Check(t)
	cluster := must(etcdtest.New(3))(t)
	put(t, cluster.Client(), "key", "value")
	if !strings.Contains(cluster.Logs(), "ready to serve client requests") {
		t.Errorf("the logs lack what etcd logs when it starts:\n%s", cluster.Logs())
	}
	check(t, cluster.Close())

	if err := cluster.Restart(bounded(t)); err == nil {
		t.Error("a closed cluster could be started again")
	}
	if _, err := cluster.Backup(bounded(t)); err == nil {
		t.Error("a closed cluster could be backed up")
	}
	if err := cluster.Replace(bounded(t)); err == nil {
		t.Error("a closed cluster could be replaced")
	}
	if path := strings.TrimPrefix(cluster.Endpoints()[0], "unix://"); exists(path) {
		t.Errorf("%s is still there", path)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestNewReportsInvalidArguments(t *testing.T) {
	leaktest.Check(t)
	tests := []struct {
		name    string
		members int
		config  func(*embed.Config)
		want    string
	}{
		{"no members", 0, func(*embed.Config) {}, "at least one"},
		{"refused by etcd", 3, func(cfg *embed.Config) { cfg.ElectionMs = 1 }, "start member 0: --election-timeout"},
		{"refused by the last member", 3, func(cfg *embed.Config) {
			if cfg.Name == "m2" {
				cfg.AutoCompactionMode = "sometimes"
			}
		}, "start member 2: unknown auto-compaction-mode"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := etcdtest.New(test.members, etcdtest.WithConfig(func(_ int, cfg *embed.Config) { test.config(cfg) }))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New gives the error %v, want one that contains %q", err, test.want)
			}
		})
	}
}

func TestWithConfig(t *testing.T) {
	leaktest.Check(t)
	var seen []int
	cluster := etcdtest.Start(t, 2,
		etcdtest.WithConfig(func(member int, cfg *embed.Config) {
			seen = append(seen, member)
			cfg.MaxTxnOps = 7
		}),
		etcdtest.WithConfig(func(_ int, cfg *embed.Config) { cfg.MaxTxnOps++ }),
	)
	for i := range 2 {
		if got := cluster.Member(i).Server.Cfg.MaxTxnOps; got != 8 {
			t.Errorf("member %d has MaxTxnOps %d, want 8", i, got)
		}
	}
	cluster.Stop(1)
	check(t, cluster.Restart(bounded(t)))
	if got, want := fmt.Sprint(seen), "[0 1 1]"; got != want {
		t.Errorf("WithConfig configured the members %s, want %s", got, want)
	}
}

func TestLogsAreKeptAfterClose(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1)
	check(t, cluster.Close())
	for _, want := range []string{"m0", "closed etcd server"} {
		if !strings.Contains(cluster.Logs(), want) {
			t.Errorf("the logs of a closed cluster do not contain %q", want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	client := cluster.Client()
	put(t, client, "key", "value")

	var hands sync.WaitGroup
	for member := range 3 {
		hands.Go(func() {
			for range 5 {
				cluster.Stop(member)
				cluster.Restart(t.Context(), member)
			}
		})
		hands.Go(func() {
			for range 20 {
				cluster.Partition(member)
				cluster.Leader()
				cluster.Watchers(member)
				cluster.Member(member)
				cluster.Heal()
			}
		})
	}
	hands.Wait()
	cluster.Heal()
	check(t, cluster.Restart(bounded(t)))
	must(cluster.WaitLeader(bounded(t)))(t)
	wantValue(t, client, "key", "value")
}
