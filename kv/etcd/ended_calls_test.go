package etcd_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/value"
)

// A client is not notified when it can reach no member. Only the context ends such a call.
func TestADoneContextEndsEveryCallAtOnceWhileCutOff(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		for name, client := range map[string]etcd.Client{
			"plain":     cluster.Client(),
			"namespace": namespaced(cluster.Client(), "/space/"),
		} {
			store := etcd.New(client)
			ctx, cancel := context.WithCancel(within(t, patience))
			rev := must(store.Put(ctx, "k", nil))(t)
			running := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
			running.batch()
			broken := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
			broken.batch()
			cluster.Stop()
			fresh := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
			another := read(t, etcd.New(client).Watch(ctx, kv.Key("j"), 0))

			type ended struct {
				what string
				err  error
			}
			ends := make(chan ended)
			for what, r := range map[string]*reader{"a running watch": running, "a new watch": fresh, "another watch": another} {
				go func() {
					_, err, _ := r.pull()
					ends <- ended{what, err}
				}()
			}
			go func() {
				_, err := store.Get(ctx, kv.Key("k"))
				ends <- ended{"a get", err}
			}()
			go func() {
				_, err := store.Put(ctx, "k", nil)
				ends <- ended{"a put", err}
			}()
			start := time.Now()
			broken.stop()
			if took := time.Since(start); took > atOnce {
				t.Errorf("%s: stopping the iteration over a watch took %v", name, took)
			}
			start = time.Now()
			cancel()
			for range 5 {
				e := <-ends
				if took := time.Since(start); took > atOnce {
					t.Errorf("%s: %s ended after %v", name, e.what, took)
				}
				if !errors.Is(e.err, context.Canceled) && e.what != "a put" {
					t.Errorf("%s: %s ended with %v, want %v", name, e.what, e.err, context.Canceled)
				}
			}
			if err := cluster.Restart(within(t, patience)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAClosedClientEndsEveryCall(t *testing.T) {
	for name, test := range map[string]struct {
		wrap    func(*clientv3.Client) etcd.Client
		running error // the end of a watch that was delivering
	}{
		"a whole client": {func(c *clientv3.Client) etcd.Client { return c }, kv.ErrClosed},
		// The parts of a client do not report that they are closed. So the watch makes a request to find out why it ended. That request may
		// still be answered while the client is being closed.
		"parts of one": {func(c *clientv3.Client) etcd.Client { return namespaced(c, "/space/") }, kv.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
				ctx := within(t, patience)
				cfg := cluster.ClientConfig()
				cfg.MaxUnaryRetries = 5 // a part of a closed client retries each request this many times
				client := must(clientv3.New(cfg))(t)
				store := etcd.New(test.wrap(client))
				rev := must(store.Put(ctx, "k", nil))(t)
				idle := read(t, store.Watch(ctx, kv.Key("k"), rev))
				ends := make(chan error)
				go func() {
					_, err, _ := idle.pull()
					ends <- err
				}()
				running := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
				running.batch()
				client.Close()
				running.end(test.running)
				if err := <-ends; !errors.Is(err, kv.ErrClosed) && !errors.Is(err, test.running) {
					t.Errorf("a watch that was waiting: %v, want %v or %v", err, kv.ErrClosed, test.running)
				}
				if _, err := store.Get(ctx, kv.Key("k")); !errors.Is(err, kv.ErrClosed) {
					t.Errorf("a get: %v, want %v", err, kv.ErrClosed)
				}
				if _, err := store.Put(ctx, "k", nil); !errors.Is(err, kv.ErrClosed) {
					t.Errorf("a put: %v, want %v", err, kv.ErrClosed)
				}
				read(t, store.Watch(ctx, kv.Key("k"), rev)).end(kv.ErrClosed)
			})
		})
	}
}

func TestClosingTheClientEndsAPendingGet(t *testing.T) {
	onCluster(t, 3, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		client := cluster.Client(0)
		must(etcd.New(client).Get(ctx, kv.Key("k")))(t)
		begun := make(chan struct{})
		store := etcd.New(&hookedClient{Client: client, beforeGet: func() { close(begun) }})
		cluster.Stop(1, 2) // member 0 can be reached, and does not answer
		got := make(chan error)
		go func() {
			_, err := store.Get(ctx, kv.Key("k"))
			got <- err
		}()
		<-begun
		start := time.Now()
		client.Close()
		err := <-got
		checkError(t, "the get", err, kv.ErrClosed, nil) // and not context.Canceled, although closing cancels the call
		if took := time.Since(start); took > atOnce {
			t.Errorf("it took %v", took)
		}
	})
}

// A program may give the client a context with a deadline, and mean the first connection. Without a reason it would look for a Close that it has
// never called.
func TestTheEndOfTheContextOfAClientIsNamed(t *testing.T) {
	const want = "closed (the context of the client has ended: context deadline exceeded)"
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 1)
		cfg := cluster.ClientConfig()
		short, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		cfg.Context = short
		client := must(clientv3.New(cfg))(t)
		defer client.Close()
		store, ctx := etcd.New(client), within(t, time.Hour)
		rev := must(store.Put(ctx, "k", nil))(t)
		calls := map[string]func() error{
			"get":   func() error { _, err := store.Get(ctx, kv.Key("k")); return err },
			"put":   func() error { _, err := store.Put(ctx, "k", nil); return err },
			"watch": func() error { _, err, _ := read(t, store.Watch(ctx, kv.Key("k"), rev)).pull(); return err },
			"watch that runs": func() error {
				running := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
				running.batch()
				_, err, _ := running.pull()
				return err
			},
		}
		check := func(when, name string, err error) {
			checkError(t, name, err, kv.ErrClosed, nil)
			if errors.Is(err, context.DeadlineExceeded) || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("a %s that begins %s: %v, want %q", name, when, err, want)
			}
		}
		time.AfterFunc(time.Second, func() { cluster.Network().Swallow() })
		var pending sync.WaitGroup
		for name, call := range calls {
			pending.Go(func() {
				if name == "get" || name == "put" {
					time.Sleep(2 * time.Second)
				}
				check("before the end", name, call())
			})
		}
		pending.Wait()
		delete(calls, "watch that runs")
		for name, call := range calls {
			check("after it", name, call())
		}
	})
}

// A proxy, for example, may reset an HTTP/2 stream as cancelled. Neither the caller nor the client has cancelled anything then.
func TestACancelledCallDoesNotMeanThatTheClientIsClosed(t *testing.T) {
	for name, end := range map[string]error{"as a status": status.Error(codes.Canceled, "stream reset"), "as itself": context.Canceled} {
		synctest.Test(t, func(t *testing.T) {
			var ends atomic.Bool
			cfg := etcdmem.Start(t, 1).ClientConfig()
			cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any,
				cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				if ends.Load() {
					return end
				}
				return invoker(ctx, method, req, reply, cc, opts...)
			}))
			client := must(clientv3.New(cfg))(t)
			defer client.Close()
			store := etcd.New(client)
			rev := must(store.Put(t.Context(), "k", []byte("1")))(t)
			ends.Store(true)
			if _, err := store.Get(t.Context(), kv.Key("k")); !errors.Is(err, kv.ErrUnavailable) || errors.Is(err, kv.ErrClosed) {
				t.Errorf("%s: a get: %v, want %v", name, err, kv.ErrUnavailable)
			}
			if _, err := store.Put(t.Context(), "k", nil, kv.IfRevision(rev)); !errors.Is(err, kv.ErrUnavailable) || errors.Is(err, kv.ErrClosed) {
				t.Errorf("%s: a put: %v, want %v", name, err, kv.ErrUnavailable)
			}
			w := value.New(store, "k", value.String).Watch()
			defer w.Close()
			time.AfterFunc(time.Minute, func() { ends.Store(false) })
			if got, err := w.Get(within(t, time.Hour)); err != nil || got != "1" {
				t.Errorf("%s: promised: an outage is no error of Get (V11); Get = %q, %v", name, got, err)
			}
		})
	}
}
