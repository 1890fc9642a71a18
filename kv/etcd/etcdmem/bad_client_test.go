package etcdmem_test

import (
	"context"
	"encoding/binary"
	"flag"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// This runs the test with a million leases, in minutes:
//
//	go test ./kv/etcd/etcdmem -run ManyLeases -leases=1000000 -timeout=0 -v
var manyLeases = flag.Int("leases", 4000, "how many leases a client takes in the test of many")

// http2 returns the first bytes of a gRPC client, followed by frames.
func http2(frames ...string) string {
	text := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, f := range frames {
		text += f
	}
	return text
}

// frame returns an HTTP/2 frame.
func frame(kind, flags byte, stream uint32, payload string) string {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	return string(binary.BigEndian.AppendUint32(append(head, flags), stream)) + payload
}

// The server closes the connection of a client that is no etcd client, and other clients are not affected. etcd waits two minutes for the
// first bytes of a connection. After two hours of silence it pings the client.
func TestGarbageOnAConnectionAffectsNoOtherClient(t *testing.T) {
	const settings, headers = 4, 1
	for name, garbage := range map[string]struct {
		sends  string
		within time.Duration
	}{
		"nothing":                      {"", 2 * time.Minute},
		"half a beginning":             {http2()[:10], 2 * time.Minute},
		"HTTP/1.1":                     {"GET / HTTP/1.1\r\nHost: etcd\r\n\r\n", 0},
		"TLS":                          {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 2 * time.Minute},
		"zeros":                        {string(make([]byte, 1<<20)), 0},
		"no settings":                  {http2(frame(headers, 4, 1, "garbage")), 0},
		"only settings":                {http2(frame(settings, 0, 0, "")), 3 * time.Hour},
		"half a frame":                 {http2(frame(settings, 0, 0, ""), frame(headers, 4, 1, "garbage")[:12]), 3 * time.Hour},
		"headers that mean nothing":    {http2(frame(settings, 0, 0, ""), frame(headers, 4, 1, "\xff\xff\xff\xff")), 3 * time.Hour},
		"settings that are too long":   {http2(frame(settings, 0, 0, string(make([]byte, 1<<15)))), 0},
		"a stream with an even number": {http2(frame(settings, 0, 0, ""), frame(headers, 4, 2, "\x82")), 3 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := etcdmem.Start(t, 1)
				put(t, cluster.Client(), "/a", "1")
				conn, err := cluster.Network().Dial(t.Context(), cluster.Endpoints()[0])
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				began := time.Now()
				go conn.Write([]byte(garbage.sends)) // the server may close the connection before it has read everything
				conn.SetReadDeadline(began.Add(24 * time.Hour))
				_, err = io.Copy(io.Discard, conn)
				if took := time.Since(began); took > garbage.within {
					t.Errorf("the connection ended after %v with %v; want an end within %v", took, err, garbage.within)
				}
				put(t, cluster.Client(), "/a", "2")
			})
		})
	}
}

func TestManyLeasesUseLittleMemoryAndAllExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := *manyLeases
		client := etcdmem.Start(t, 1).Client()
		before := heap()
		var granting sync.WaitGroup
		for range 50 {
			granting.Go(func() {
				for range n / 50 {
					if _, err := client.Grant(t.Context(), 3600); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		granting.Wait()
		// A lease and its deadline take 290 bytes. Their entries in a tree, a map and a heap take 30 to 70 bytes, because these grow by doubling.
		const each, rest = 400, 1 << 20 // rest is what client and server keep in pools and buffers
		if held := heap() - before; held > int64(n)*each+rest {
			t.Errorf("%d leases hold %d bytes", n, held)
		} else {
			t.Logf("%d leases hold %d bytes each", n, held/int64(n))
		}
		left := func() int {
			r, err := client.Leases(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return len(r.Leases)
		}
		const atOnce, ticks = 500, 3 // etcd revokes at most atOnce expired leases in a tick, and has two ticks a second
		time.Sleep(time.Hour + time.Second)
		if got := left(); got < n-ticks*atOnce || got == n {
			t.Errorf("a second after %d leases have expired, %d are left", n, got)
		}
		time.Sleep(time.Duration(n/atOnce) * time.Second / 2)
		if got := left(); got != 0 {
			t.Errorf("%d leases are left", got)
		}
		if held := heap() - before; held > rest {
			t.Errorf("%d leases that have expired hold %d bytes", n, held)
		} else {
			t.Logf("when they have expired, they hold %d bytes", held)
		}
	})
}

// A client opens many streams, each with a watch or a lease, and then vanishes.
func TestAbandonedStreamsEndWithTheirConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const streams = 200
		cluster := etcdmem.Start(t, 1)
		put(t, cluster.Client(), "/a", "1")
		synctest.Wait()
		goroutines := runtime.NumGoroutine()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		conn := cluster.Client().ActiveConnection()
		for range streams {
			watch, err := pb.NewWatchClient(conn).Watch(ctx)
			if err != nil {
				t.Fatal(err)
			}
			create := &pb.WatchCreateRequest{Key: []byte("/a")}
			watch.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}})
			if r, err := watch.Recv(); err != nil || !r.Created {
				t.Fatal(r, err)
			}
			lease, err := pb.NewLeaseClient(conn).LeaseKeepAlive(ctx)
			if err != nil {
				t.Fatal(err)
			}
			lease.Send(&pb.LeaseKeepAliveRequest{ID: 1})
		}
		if n := cluster.Watchers(0); n != streams {
			t.Fatalf("there are %d watches", n)
		}
		cluster.Network().Forget() // as if the client's machine was switched off
		time.Sleep(3 * time.Hour)
		if n := cluster.Watchers(0); n != 0 {
			t.Errorf("%d watches are left hours after their client has vanished", n)
		}
		cancel()
		conn.Close()
		synctest.Wait()
		if n := runtime.NumGoroutine(); n > goroutines+20 {
			t.Errorf("there were %d goroutines before, and are %d now", goroutines, n)
		}
		put(t, cluster.Client(), "/a", "2")
	})
}

// Each bubble has the complete life of a cluster and its clients.
func TestManyBubblesInARowLeaveNothing(t *testing.T) {
	bubbles := 200
	if testing.Short() {
		bubbles = 20
	}
	leaktest.Check(t)
	for seed := range uint64(bubbles) {
		synctest.Test(t, func(t *testing.T) {
			cluster := etcdmem.Start(t, 3, etcdmem.WithSeed(seed))
			client := cluster.Client()
			lease, err := client.Grant(t.Context(), 60)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.KeepAlive(t.Context(), lease.ID); err != nil {
				t.Fatal(err)
			}
			watch := client.Watch(t.Context(), "/", clientv3.WithPrefix())
			put(t, client, "/a", "1", clientv3.WithLease(lease.ID))
			<-watch
			switch leader, _ := cluster.Leader(); seed % 3 { // the bubble ends in a different state of the cluster each time
			case 0:
				cluster.Stop(leader)
			case 1:
				cluster.Freeze(leader)
			case 2:
				cluster.Network().Swallow()
			}
		})
		if t.Failed() {
			t.Fatalf("with the seed %d", seed)
		}
	}
}
