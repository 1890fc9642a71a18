package etcdmem_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// networkFaults are faults of the network between etcd's client and one member. The client has the shortest keep-alive and a deadline of some
// seconds. A row says what a put returns to a client that connected before the fault and to a client that did not, and whether the put
// was done.
var networkFaults = []struct {
	name             string
	fault            func(n etcdmem.AnyNetwork)
	connected, fresh string // what the answer contains; "|" separates alternatives
	done             string // whether the connected client's put was done: "yes", "no", or "" if it depends
	took             time.Duration
	short            bool
}{
	{name: "none", fault: func(etcdmem.AnyNetwork) {}, connected: "ok", fresh: "ok", done: "yes", short: true},
	{
		name:      "packets are swallowed",
		fault:     func(n etcdmem.AnyNetwork) { n.Swallow() },
		connected: "keepalive", fresh: "DeadlineExceeded",
	},
	{
		name:      "requests are swallowed",
		fault:     func(n etcdmem.AnyNetwork) { n.SwallowRequests() },
		connected: "keepalive", fresh: "DeadlineExceeded",
	},
	{
		name:      "answers are swallowed",
		fault:     func(n etcdmem.AnyNetwork) { n.SwallowAnswers() },
		connected: "keepalive", fresh: "DeadlineExceeded", done: "yes",
	},
	{
		name:      "connections are forgotten",
		fault:     func(n etcdmem.AnyNetwork) { n.Forget() },
		connected: "keepalive", fresh: "ok", done: "no",
	},
	{
		name:      "connections are reset",
		fault:     func(n etcdmem.AnyNetwork) { n.Reset() },
		connected: "ok|connection reset by peer", fresh: "ok", short: true,
	},
	{
		name:      "connections are refused",
		fault:     func(n etcdmem.AnyNetwork) { n.Refuse() },
		connected: "ok", fresh: "DeadlineExceeded", done: "yes",
	},
	{
		name:      "everything takes a quarter of a second",
		fault:     func(n etcdmem.AnyNetwork) { n.Delay(250 * time.Millisecond) },
		connected: "ok", fresh: "ok", done: "yes", took: 2 * time.Second, short: true,
	},
	{
		name:      "the line is slow",
		fault:     func(n etcdmem.AnyNetwork) { n.Throttle(1000) },
		connected: "ok", fresh: "ok", done: "yes", took: 2 * time.Second, short: true,
	},
}

// patience is longer than the keep-alive takes: ten seconds, the shortest interval that gRPC accepts, and a timeout of one second.
const patience = 15 * time.Second

// answerOf returns the answer that a client gets, as text.
func answerOf(err error) string {
	if err == nil {
		return "ok"
	}
	s, is := status.FromError(err)
	if !is {
		s = status.FromContextError(err)
	}
	return fmt.Sprintf("%v: %s", s.Code(), s.Message())
}

func playNetwork(t *testing.T, cluster etcdmem.AnyCluster, i int, slack time.Duration) {
	f := networkFaults[i]
	config := cluster.ClientConfig()
	config.DialKeepAliveTime, config.DialKeepAliveTimeout = time.Second, time.Second
	client := func() *clientv3.Client {
		c, err := clientv3.New(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	try := func(c *clientv3.Client, key string) (string, time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		began := time.Now()
		_, err := c.Put(ctx, key, "1")
		return answerOf(err), time.Since(began)
	}
	connected := client()
	if _, err := connected.Put(t.Context(), "/before", "1"); err != nil {
		t.Fatal(err)
	}
	f.fault(cluster.Network())
	check := func(who, key string, c *clientv3.Client, want string) {
		got, took := try(c, key)
		if !slices.ContainsFunc(strings.Split(want, "|"), func(part string) bool { return strings.Contains(got, part) }) {
			t.Errorf("%s, a client that %s: %q after %v; want %q", f.name, who, got, took, want)
		}
		if got == "ok" && took > f.took+slack {
			t.Errorf("%s, a client that %s: the put took %v; want at most %v", f.name, who, took, f.took)
		}
	}
	var running sync.WaitGroup
	running.Go(func() { check("is connected", "/connected", connected, f.connected) })
	running.Go(func() { check("has yet to connect", "/fresh", client(), f.fresh) })
	running.Wait()

	cluster.Network().Mend()
	later := client()
	if got, _ := try(later, "/after"); got != "ok" {
		t.Errorf("%s: after the fault was mended, a put returned %q", f.name, got)
	}
	get, err := later.Get(t.Context(), "/connected")
	if err != nil || f.done != "" && len(get.Kvs) != map[string]int{"yes": 1, "no": 0}[f.done] {
		t.Errorf("%s: was the put of the connected client done: %v, %v; want %q", f.name, get.Kvs, err, f.done)
	}
}

func TestNetworkFaultsInMemory(t *testing.T) {
	for i, f := range networkFaults {
		t.Run(f.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playNetwork(t, etcdmem.Any(etcdmem.Start(t, 1)), i, 0) })
		})
	}
}

// Without -real, only the faults that end soon are tested.
func TestNetworkFaultsOnARealNetwork(t *testing.T) {
	leaktest.Check(t)
	var running sync.WaitGroup
	for i, f := range networkFaults {
		if *allReal || f.short && !testing.Short() {
			running.Go(func() {
				t.Run(f.name, func(t *testing.T) { playNetwork(t, etcdmem.Any(etcdtest.Start(t, 1)), i, 2*time.Second) })
			})
		}
	}
	running.Wait()
}
