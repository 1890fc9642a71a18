package value_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// guarded starts a server with authentication. It returns a client that may do everything, and a client of the user "app". The role "app" of
// that user may read and write below "/app/".
func guarded(t *testing.T, opts ...etcdtest.Option) (root, app *clientv3.Client) {
	cluster := etcdtest.Start(t, 1, opts...)
	ctx, setup := patiently(t), cluster.Client()
	for _, user := range []string{"root", "app"} {
		_, err := setup.RoleAdd(ctx, user)
		must(t, err)
		_, err = setup.UserAdd(ctx, user, "secret")
		must(t, err)
		_, err = setup.UserGrantRole(ctx, user, user)
		must(t, err)
	}
	_, err := setup.RoleGrantPermission(ctx, "app", "/app/", clientv3.GetPrefixRangeEnd("/app/"),
		clientv3.PermissionType(clientv3.PermReadWrite))
	must(t, err)
	_, err = setup.AuthEnable(ctx)
	must(t, err)
	as := func(user string) *clientv3.Client {
		config := cluster.ClientConfig()
		config.Username, config.Password = user, "secret"
		client, err := clientv3.New(config)
		must(t, err)
		t.Cleanup(func() { client.Close() })
		return client
	}
	return as("root"), as("app")
}

// etcd does not notify a running watch when its user may no longer read. The check of a silent watch finds it.
func TestV11ARevokedRoleIsReturnedAndAGrantedOneIsUsed(t *testing.T) {
	leaktest.Check(t)
	root, app := guarded(t)
	admin := etcd.New(root)
	put(t, admin, key, "one")
	x := openString(t, etcd.New(app), value.WithCheck(shortest))
	x.Gives("one")
	_, err := root.UserRevokeRole(patiently(t), "app", "app")
	must(t, err)
	x.Fails(kv.ErrPermission)
	x.Fails(kv.ErrPermission) // once an attempt
	put(t, admin, key, "two")
	_, err = root.UserGrantRole(patiently(t), "app", "app")
	must(t, err)
	x.GivesAfter(kv.ErrPermission, "two") // an earlier refusal may be returned first
	put(t, admin, key, "three")
	x.Gives("three")
}

// An expired token looks like a lost permission, but is none: the next read gets a new token.
func TestV11AnExpiredTokenIsNotAnErrorOfGet(t *testing.T) {
	leaktest.Check(t)
	root, app := guarded(t, etcdtest.WithConfig(func(_ int, config *embed.Config) { config.AuthTokenTTL = 1 }))
	admin, watched := etcd.New(root), &refusals{Store: etcd.New(app), first: make(chan struct{})}
	store := fault.New(watched)
	put(t, admin, key, "one")
	x := openString(t, store)
	x.Gives("one")
	ctx := patiently(t)
	// A second watch keeps the stream and its token alive when the first watch is cut.
	go func() {
		for range store.Watch(ctx, kv.Key("/app/keeps"), 0) {
		}
	}()
	// Each watch uses the token and so extends its life. So the time between two tries grows.
	for wait, refused := time.Second, false; !refused; wait *= 2 {
		select {
		case <-time.After(wait):
			store.EndStreams(kv.ErrUnavailable, fault.On(kv.Key(key)))
		case <-watched.first:
			refused = true
		case <-ctx.Done():
			t.Fatalf("no watch was refused; status %+v", x.Of.Status())
		}
	}
	put(t, admin, key, "two")
	x.Gives("two")
}

// refusals is a store that reports the first refusal of a watch.
type refusals struct {
	kv.Store
	once  sync.Once
	first chan struct{} // closed at the first refusal
}

func (s *refusals) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range s.Store.Watch(ctx, r, after) {
			if errors.Is(err, kv.ErrPermission) {
				s.once.Do(func() { close(s.first) })
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// The first Get that meets bad input returns an error. Everything that can work still works.
func TestBadInputOnARealCluster(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3)
	store := etcd.New(cluster.Client())
	huge := string(make([]byte, 2<<20))
	if _, err := store.Put(t.Context(), huge, nil); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("put of a key of 2 MiB: %.200v; want ErrTooLarge", err)
	}
	put(t, store, key, "one")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	x := openString(t, store)
	if v, err := x.Get(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with a context that has ended = %q, %v", v, err)
	}
	x.Gives("one")

	// Without a leader Get waits, and only Status shows why. With a new leader Get continues.
	cluster.Stop(1, 2)
	alone := etcd.New(cluster.Client(0))
	y := openString(t, alone)
	short, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	if v, err := y.Get(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get without a leader = %q, %v; want the context's error", v, err)
	}
	if y.Of.Status().Connected {
		t.Error("without a leader Status says connected")
	}
	must(t, cluster.Restart(t.Context(), 1, 2))
	y.Gives("one")
}
