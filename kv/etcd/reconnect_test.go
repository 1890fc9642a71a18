package etcd_test

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
)

func TestAnEndpointHasAnotherSpelling(t *testing.T) {
	for endpoint, want := range map[string]string{
		"10.0.0.44:2379":        "10.0.0.44:02379",
		"http://etcd:2379":      "http://etcd:02379",
		"https://[::1]:2379":    "https://[::1]:02379",
		"unix:///run/etcd.sock": "unix:///./run/etcd.sock",
		"unixs://local:2379":    "unixs://./local:2379",
		"unix:local.sock":       "unix:./local.sock",
		"unix:/run/etcd.sock":   "unix:/./run/etcd.sock",
		"no port":               "no port",
	} {
		if got := etcd.Respell(endpoint); got != want {
			t.Errorf("the other spelling of %q is %q, want %q", endpoint, got, want)
		}
	}
}

// While a client has no endpoints, clientv3's Dial panics, and each new request fails.
func TestAClientWhoseConnectionsAreReplacedAlwaysHasEndpoints(t *testing.T) {
	cluster := newCounting(t, 1)
	client := cluster.client(plain)
	ctx, cancel := context.WithCancel(t.Context())
	var looking sync.WaitGroup
	looking.Go(func() {
		for ctx.Err() == nil {
			if len(client.Endpoints()) == 0 {
				t.Error("the client had no endpoints for a moment")
				return
			}
		}
	})
	for i := range 20 {
		if _, err := client.Put(ctx, "/a", ""); err != nil {
			t.Fatalf("a put after %d replacements: %v", i, err)
		}
		before := cluster.dials.Load()
		etcd.ReplaceConnections(client)
		if _, err := client.Put(ctx, "/a", ""); err != nil {
			t.Fatalf("a put right after the connections were replaced: %v", err)
		}
		if cluster.dials.Load() == before {
			t.Fatal("the client made no new connection")
		}
	}
	cancel()
	looking.Wait()
}

func TestAHundredSlowReadsReconnectAClientOnce(t *testing.T) {
	const reads = 100
	synctest.Test(t, func(t *testing.T) {
		cluster := newCounting(t, 1)
		store := etcd.New(cluster.client(plain))
		if _, err := store.Put(t.Context(), "/a", []byte("one")); err != nil {
			t.Fatal(err)
		}
		cluster.Network().Forget()
		before := cluster.dials.Load()
		var reading sync.WaitGroup
		for range reads {
			reading.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if s, err := store.Get(ctx, kv.Key("/a")); err != nil || len(s.Entries) != 1 {
					t.Errorf("Get = %v, %v", s.Entries, err)
				}
			})
		}
		reading.Wait()
		// One connection tests whether a new connection works. The client then uses another. A third is started to the endpoint's other spelling,
		// which the client has for a moment.
		if n := cluster.dials.Load() - before; n > 3 {
			t.Errorf("promised: a client whose connection has died gets a new one, however many reads wait\nhappened: %d connections for %d reads", n, reads)
		}
	})
}

// blocking returns a client whose Dial returns only when it is connected. It is closed after an hour, so that a call that hangs ends.
func (c *counting) blocking() *clientv3.Client {
	client := c.client(func(config clientv3.Config) clientv3.Config {
		//lint:ignore SA1019 etcd's client still honours it
		config.DialOptions = append(config.DialOptions, grpc.WithBlock())
		return config
	})
	time.AfterFunc(time.Hour, func() { client.Close() })
	return client
}

// Dial takes no context that could end with the read.
func TestAReadEndsWithItsContextIfDialBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCounting(t, 1)
		store := etcd.New(cluster.blocking())
		must(store.Put(t.Context(), "/a", nil))(t)
		cluster.Network().Swallow()
		const reads = 10
		for range reads {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			start := time.Now()
			_, err := store.Get(ctx, kv.Key("/a"))
			cancel()
			if d := time.Since(start); d > time.Minute {
				t.Fatalf("promised: the end of its context ends a Get at once, also if the client was made with grpc.WithBlock\n"+
					"happened: its context ended after a minute, and the Get after %v with %v", d, err)
			}
		}
		if n := dialing(); n > 1 {
			t.Errorf("promised: a read dials no endpoint that an earlier read still dials\nhappened: %d calls of Dial run after %d reads", n, reads)
		}
	})
}

// dialing returns how many goroutines are in Dial of a client.
func dialing() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("client/v3.(*Client).Dial("))
}

func TestAnEndpointThatCannotBeDialedDoesNotKeepAClientFromReconnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCounting(t, 2)
		store := etcd.New(cluster.blocking())
		must(store.Put(t.Context(), "/a", nil))(t)
		cluster.Network().Forget(0)
		cluster.Network().Swallow(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := store.Get(ctx, kv.Key("/a")); err != nil {
			t.Errorf("promised: a client whose connections have died gets new ones if one endpoint answers, also if Dial blocks for another one\nhappened: %v", err)
		}
	})
}

// While the connections are dead, a check of the watch's stream opens others, on the dead connections too.
func TestAWatchBeginsOnTheNewConnectionsOfItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		cluster := newCounting(t, 3)
		store := etcd.New(cluster.client(plain))
		rev := must(store.Put(ctx, "k", nil))(t)
		old := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		old.nextIs(rev)
		time.Sleep(time.Minute) // so that the stream is quiet
		cluster.Network().Forget()
		must(store.Get(ctx, kv.Key("k")))(t)
		old.end(kv.ErrUnavailable)
		fresh := read(t, store.Watch(ctx, kv.Key("k"), rev))
		rev = cluster.put()
		began := time.Now()
		if batch, err, _ := fresh.pull(); batch.Revision != rev || time.Since(began) > atOnce {
			t.Errorf("promised: a watch that begins after its client has got new connections uses one of them\n"+
				"happened: after %v it brought revision %d and %v, instead of revision %d at once", time.Since(began), batch.Revision, err, rev)
		}
	})
}
