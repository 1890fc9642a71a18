package register_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/examples/endpoints/register"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

const (
	key = "/svc/greeter/a"
	ttl = 10 * time.Second

	outage = 30 * time.Second
)

// registered is an instance that is registered in a cluster. Each test has its own cluster.
type registered struct {
	t       *testing.T
	cluster *etcdmem.Cluster
	client  *clientv3.Client // the client of the instance
	reader  *clientv3.Client
	stop    func()
	ended   chan error
	log     strings.Builder // the log of the instance; may be read when nothing runs
}

// inBubble runs a test of an instance that is registered when the test begins.
func inBubble(t *testing.T, test func(r *registered)) {
	inBubbleWithPuts(t, func(*registered, context.Context) error { return nil }, test)
}

// inBubbleWithPuts is inBubble with a function that is called after each put of the instance has happened, and returns what the instance sees
// of it.
func inBubbleWithPuts(t *testing.T, happened func(*registered, context.Context) error, test func(r *registered)) {
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 3)
		ctx, stop := context.WithCancel(t.Context())
		r := &registered{t: t, cluster: cluster, reader: cluster.Client(), stop: stop, ended: make(chan error, 1)}
		config := etcd.KeepAlive(cluster.ClientConfig())
		config.DialOptions = append(config.DialOptions, grpc.WithChainUnaryInterceptor(
			func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				err := invoke(ctx, method, request, reply, conn, opts...)
				if err == nil && strings.HasSuffix(method, "/Put") {
					err = happened(r, ctx)
				}
				return err
			}))
		client, err := clientv3.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		r.client = client
		go func() {
			logger := slog.New(slog.NewTextHandler(&r.log, nil))
			r.ended <- register.Keep(ctx, client, register.Instance{Key: key, Value: []byte("here"), TTL: ttl, Logger: logger})
		}()
		defer stop()
		r.want(true, "has just begun")
		test(r)
	})
}

// want waits for a second, and then checks whether the key is there.
func (r *registered) want(there bool, when string) {
	r.t.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
	got, err := r.reader.Get(r.t.Context(), key)
	if err != nil {
		r.t.Fatal(err)
	}
	if (len(got.Kvs) == 1) != there {
		r.t.Errorf("an instance that %s has %d keys; want a key: %t", when, len(got.Kvs), there)
	}
	for _, pair := range got.Kvs {
		if string(pair.Value) != "here" || pair.Lease == 0 {
			r.t.Errorf("an instance that %s: the key is %v, want the value and a lease", when, pair)
		}
	}
}

func (r *registered) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestAnInstanceIsRegisteredWhileItRuns(t *testing.T) {
	inBubble(t, func(r *registered) {
		time.Sleep(outage)
		r.want(true, "has run for longer than the lease lasts")
		r.stop()
		r.want(false, "has ended a second ago")
		if err := <-r.ended; !errors.Is(err, context.Canceled) {
			r.t.Errorf("Keep returned %v", err)
		}
		if r.log.Len() > 0 {
			r.t.Errorf("nothing went wrong, but the log says %s", &r.log)
		}
	})
}

// The put happened, so clients see the instance. The instance does not know that, and is about to try again.
func TestAnInstanceThatEndsIsRemovedAlsoIfTheAnswerToItsPutWasLost(t *testing.T) {
	lost := func(_ *registered, ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	inBubbleWithPuts(t, lost, func(r *registered) {
		time.Sleep(ttl - time.Second + time.Second/4) // the put was given up, and the next attempt has not begun
		r.stop()
		<-r.ended
		r.want(false, "has ended a second ago")
	})
}

// The answer to the put takes a while, so another client can delete the key before the instance looks at it first.
func TestAnInstanceRegistersAgainIfItsKeyWasDeletedAtOnce(t *testing.T) {
	var puts atomic.Int32
	deleted := func(r *registered, ctx context.Context) (err error) {
		if puts.Add(1) == 1 {
			_, err = r.reader.Delete(ctx, key)
		}
		return err
	}
	inBubbleWithPuts(t, deleted, func(r *registered) {
		if n := puts.Load(); n != 2 {
			r.t.Errorf("the key was put %d times, want once more after it was deleted", n)
		}
		r.stop()
		<-r.ended
	})
}

func TestAKilledInstanceIsRemovedWhenItsLeaseExpires(t *testing.T) {
	inBubble(t, func(r *registered) {
		r.client.Close() // etcd is not notified
		time.Sleep(ttl / 2)
		r.want(true, "was killed a moment ago")
		time.Sleep(ttl / 2)
		r.want(false, "was killed longer ago than its lease lasts")
	})
}

func TestAnInstanceRegistersAgainAfterItsKeyWasLost(t *testing.T) {
	for name, take := range map[string]func(r *registered, ctx context.Context) error{
		"an operator deletes the key": func(r *registered, ctx context.Context) error {
			_, err := r.reader.Delete(ctx, key)
			return err
		},
		"an operator revokes the lease": func(r *registered, ctx context.Context) error {
			got, err := r.reader.Get(ctx, key)
			r.must(err)
			_, err = r.reader.Revoke(ctx, clientv3.LeaseID(got.Kvs[0].Lease))
			return err
		},
		"a late put ties the key to a lease that expires": func(r *registered, ctx context.Context) error {
			lease, err := r.reader.Grant(ctx, 10)
			r.must(err)
			_, err = r.reader.Put(ctx, key, "here", clientv3.WithLease(lease.ID))
			r.must(err)
			time.Sleep(15 * time.Second)
			return nil
		},
		"etcd is down for longer than the lease lasts": func(r *registered, ctx context.Context) error {
			r.cluster.Stop()
			time.Sleep(outage)
			defer time.Sleep(ttl)
			return r.cluster.Restart(ctx)
		},
		"the instance is cut off for longer than the lease lasts": func(r *registered, ctx context.Context) error {
			r.cluster.Network().Swallow()
			time.Sleep(outage)
			r.cluster.Network().Mend()
			time.Sleep(ttl)
			return nil
		},
		"etcd is restored from a backup": func(r *registered, ctx context.Context) error {
			r.stop()
			<-r.ended
			b, err := r.cluster.Backup(ctx)
			r.must(err)
			ctx, r.stop = context.WithCancel(ctx)
			go func() {
				r.ended <- register.Keep(ctx, r.client, register.Instance{Key: key, Value: []byte("here"), TTL: ttl})
			}()
			r.want(true, "has begun again")
			defer time.Sleep(ttl)
			return r.cluster.Restore(ctx, b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *registered) {
				r.must(take(r, r.t.Context()))
				time.Sleep(time.Second)
				r.want(true, "lost its key because "+name)
				time.Sleep(time.Minute)
				r.want(true, "lost its key a minute ago because "+name)
				r.stop()
				r.want(false, "has ended")
			})
		})
	}
}
