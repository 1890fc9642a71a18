package etcdtest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// The test shows how a client of etcd sees each fault. One client has the cluster's configuration, another knows only the endpoints.
func TestClientsOnABadNetwork(t *testing.T) {
	bare := func(c *etcdtest.Cluster, members ...int) clientv3.Config {
		return clientv3.Config{Endpoints: c.Endpoints(members...), Logger: zap.NewNop()}
	}
	worlds := []struct {
		name   string
		opts   []etcdtest.Option
		config func(c *etcdtest.Cluster, members ...int) clientv3.Config
	}{
		{"in this process", nil, (*etcdtest.Cluster).ClientConfig},
		{"in processes", []etcdtest.Option{etcdtest.WithProcesses()}, (*etcdtest.Cluster).ClientConfig},
		{"in processes behind proxies", []etcdtest.Option{etcdtest.WithProcesses(), etcdtest.WithProxies()}, bare},
	}
	for _, world := range worlds {
		t.Run(world.name, func(t *testing.T) {
			leaktest.Check(t)
			cluster := etcdtest.Start(t, 2, world.opts...)
			for _, fault := range clientFaults {
				t.Run(fault.name, func(t *testing.T) {
					defer cluster.Network().Mend()
					client := must(clientv3.New(world.config(cluster, 0)))(t)
					t.Cleanup(func() { client.Close() })
					s := &scene{T: t, Network: cluster.Network(), client: client, writer: cluster.Client(1)}
					put(t, s.writer, "key", "before")
					wantValue(t, client, "key", "before")
					s.watch = client.Watch(t.Context(), "key", clientv3.WithCreatedNotify())
					<-s.watch
					s.connect = func() *clientv3.Client {
						client := must(clientv3.New(world.config(cluster, 0)))(t)
						t.Cleanup(func() { client.Close() })
						return client
					}
					fault.story(s)
				})
			}
		})
	}
}

// scene has a client of member 0 that watches a key, and a client of member 1 that writes. The faults are between the watching client and
// member 0.
type scene struct {
	*testing.T
	*etcdtest.Network
	client, writer *clientv3.Client
	watch          clientv3.WatchChan
	connect        func() *clientv3.Client // makes another client of member 0
}

// wantHang checks that a read by c gets no answer.
func (s *scene) wantHang(c *clientv3.Client) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), moment)
	defer cancel()
	if got, err := c.Get(ctx, "key"); !errors.Is(err, context.DeadlineExceeded) {
		s.Fatalf("a read over a silent connection was answered: %v, %v", got, err)
	}
}

func (s *scene) wantSilence() {
	s.Helper()
	select {
	case resp := <-s.watch:
		s.Fatalf("a silent watch delivered %v, %v", resp.Events, resp.Err())
	case <-time.After(moment):
	}
}

// wantEvent checks that the watch delivers the value.
func (s *scene) wantEvent(value string) {
	s.Helper()
	ctx := bounded(s.T)
	for {
		select {
		case resp, ok := <-s.watch:
			if !ok || resp.Err() != nil {
				s.Fatalf("the watch ended: %v", resp.Err())
			}
			for _, event := range resp.Events {
				if string(event.Kv.Value) == value {
					return
				}
			}
		case <-ctx.Done():
			s.Fatalf("the watch has not delivered %q after %v", value, within)
		}
	}
}

var clientFaults = []struct {
	name  string
	story func(*scene)
}{
	{"Swallow", func(s *scene) {
		s.Swallow(0)
		put(s.T, s.writer, "key", "behind its back")
		s.wantSilence()
		s.wantHang(s.client)
		s.wantHang(s.connect())
		s.Mend(0)
		s.wantEvent("behind its back")
		wantValue(s.T, s.client, "key", "behind its back")
	}},
	{"SwallowRequests", func(s *scene) {
		s.SwallowRequests(0)
		put(s.T, s.writer, "key", "news")
		s.wantEvent("news")
		s.wantHang(s.client)
		s.wantHang(s.connect())
		s.Mend()
		wantValue(s.T, s.client, "key", "news")
	}},
	{"SwallowAnswers", func(s *scene) {
		s.SwallowAnswers(0)
		ctx, cancel := context.WithCancel(s.Context())
		done := make(chan error, 1)
		go func() {
			_, err := s.client.Put(ctx, "key", "done, but not acknowledged")
			done <- err
		}()
		for { // until the member has done the put
			if got := must(s.writer.Get(bounded(s.T), "key"))(s.T); string(got.Kvs[0].Value) == "done, but not acknowledged" {
				break
			}
		}
		s.wantSilence()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			s.Errorf("a request whose answer was lost gives %v", err)
		}
		s.wantHang(s.connect())
		s.Mend()
		s.wantEvent("done, but not acknowledged")
	}},
	{"Forget", func(s *scene) {
		s.Forget(0)
		put(s.T, s.writer, "key", "behind its back")
		wantValue(s.T, s.connect(), "key", "behind its back")
		s.Mend()
		s.wantSilence()
		s.wantHang(s.client)
	}},
	{"Reset", func(s *scene) {
		s.Reset(0)
		put(s.T, s.writer, "key", "after")
		s.wantEvent("after")
		wantValue(s.T, s.client, "key", "after")
	}},
	{"Refuse", func(s *scene) {
		s.Refuse(0)
		wantValue(s.T, s.client, "key", "before")
		s.Reset(0)
		s.wantHang(s.client)
		put(s.T, s.writer, "key", "behind its back")
		s.Mend(0)
		s.wantEvent("behind its back")
	}},
	{"Delay", func(s *scene) {
		const d = 100 * time.Millisecond
		s.Delay(d, 0)
		began := time.Now()
		wantValue(s.T, s.client, "key", "before", clientv3.WithSerializable())
		if took := time.Since(began); took < 2*d {
			s.Errorf("an answer took %v, want at least %v", took, 2*d)
		}
	}},
	{"Throttle", func(s *scene) {
		const size, perSecond = 512 << 10, 2 << 20
		put(s.T, s.writer, "large", strings.Repeat("x", size))
		s.Throttle(perSecond, 0)
		began := time.Now()
		got := must(s.client.Get(bounded(s.T), "large"))(s.T)
		took, want := time.Since(began), time.Second*size/perSecond
		if len(got.Kvs[0].Value) != size || took < want*8/10 {
			s.Errorf("%d bytes at %d a second took %v, want %v", len(got.Kvs[0].Value), perSecond, took, want)
		}
	}},
}

func TestAClientClosesOnASilentNetwork(t *testing.T) {
	for _, fault := range []string{"swallowed", "forgotten"} {
		t.Run(fault, func(t *testing.T) {
			leaktest.Check(t)
			cluster := etcdtest.Start(t, 1)
			client := cluster.Client()
			put(t, client, "key", "value")
			client.Watch(t.Context(), "key")
			check(t, cluster.WaitWatchers(bounded(t), 0, 1))
			if fault == "swallowed" {
				cluster.Network().Swallow()
			} else {
				cluster.Network().Forget()
			}
			began := time.Now()
			client.Close()
			if n := cluster.Watchers(0); n != 1 {
				t.Errorf("the member serves %d watches, want one: the member cannot know that this watch has ended", n)
			}
			check(t, cluster.Close())
			if took := time.Since(began); took > within {
				t.Errorf("closing the client and the cluster took %v", took)
			}
		})
	}
}

// When a client closes, it waits until its bytes are written, unless its connection is broken.
func TestCloseDoesNotWaitForASilentNetwork(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1)
	client := cluster.Client()
	put(t, client, "key", "value")
	cluster.Network().SwallowRequests()
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil { // until the connection is full
			_, err = client.Put(t.Context(), "key", strings.Repeat("x", 1<<20))
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Fatalf("a write into a silent connection gives %v", err)
	case <-time.After(moment):
	}
	began := time.Now()
	check(t, cluster.Close())
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the cluster was closed after %v", took)
	}
	<-ended
}

func TestFaultsSurviveRestarts(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 2)
	client := cluster.Client(0)
	put(t, client, "key", "value")
	cluster.Network().Swallow(0)
	cluster.Stop(0)
	check(t, cluster.Restart(bounded(t), 0))
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	if got, err := client.Get(ctx, "key"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read over a network that swallows packets was answered: %v, %v", got, err)
	}
	cluster.Network().Mend()
	wantValue(t, client, "key", "value")
}
