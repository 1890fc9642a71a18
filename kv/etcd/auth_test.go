package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// guarded is a cluster with authentication. Its user "reader" may read and write the keys that begin with "/app/".
type guarded struct {
	etcdmem.AnyCluster
	t    *testing.T
	root *clientv3.Client
}

func newGuarded(t *testing.T, cluster etcdmem.AnyCluster) *guarded {
	t.Helper()
	ctx := within(t, patience)
	g := &guarded{AnyCluster: cluster, t: t}
	setup := g.Client()
	must(setup.RoleAdd(ctx, "root"))(t)
	must(setup.UserAdd(ctx, "root", "secret"))(t)
	must(setup.UserGrantRole(ctx, "root", "root"))(t)
	must(setup.RoleAdd(ctx, "app"))(t)
	must(setup.RoleGrantPermission(ctx, "app", "/app/", clientv3.GetPrefixRangeEnd("/app/"),
		clientv3.PermissionType(clientv3.PermReadWrite)))(t)
	must(setup.UserAdd(ctx, "reader", "secret"))(t)
	must(setup.UserGrantRole(ctx, "reader", "app"))(t)
	must(setup.AuthEnable(ctx))(t)
	g.root = g.as("root")
	return g
}

// as returns a client of the given user.
func (g *guarded) as(user string) *clientv3.Client {
	g.t.Helper()
	config := g.ClientConfig()
	config.Username, config.Password = user, "secret"
	client := must(clientv3.New(config))(g.t)
	g.t.Cleanup(func() { client.Close() })
	return client
}

func TestADeniedPermissionIsReported(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(newGuarded(t, cluster).as("reader"))
		rev := must(store.Put(ctx, "/app/k", nil))(t)
		if _, err := store.Get(ctx, kv.Key("/other")); !errors.Is(err, kv.ErrPermission) {
			t.Errorf("get: %v, want %v", err, kv.ErrPermission)
		}
		if _, err := store.Put(ctx, "/other", nil); !errors.Is(err, kv.ErrPermission) {
			t.Errorf("put: %v, want %v", err, kv.ErrPermission)
		}
		if _, err := store.Commit(ctx, kv.PutOp("/app/k", nil), kv.DeleteOp("/other")); !errors.Is(err, kv.ErrPermission) {
			t.Errorf("commit: %v, want %v", err, kv.ErrPermission)
		}
		allowed := read(t, store.Watch(ctx, kv.Prefix("/app/"), rev-1))
		allowed.batch()
		_, err := read(t, store.Watch(ctx, kv.Prefix("/"), rev-1)).end(kv.ErrPermission)
		if want := `kv/etcd: watch "/"* after `; err.Error()[:len(want)] != want {
			t.Errorf("the message is %q", err)
		}
		// The refusal of one watch affects no other watch, neither a running one nor a later one.
		rev = must(store.Put(ctx, "/app/k", nil))(t)
		allowed.nextIs(rev)
		read(t, store.Watch(ctx, kv.Prefix("/app/"), rev-1)).nextIs(rev)
	})
}

func TestARevokedPermissionIsReportedAndAGrantedOneIsUsed(t *testing.T) {
	for name, change := range map[string]struct {
		away, back func(context.Context, *clientv3.Client) error
	}{
		"the role's permission": {
			func(ctx context.Context, root *clientv3.Client) error {
				_, err := root.RoleRevokePermission(ctx, "app", "/app/", clientv3.GetPrefixRangeEnd("/app/"))
				return err
			},
			func(ctx context.Context, root *clientv3.Client) error {
				_, err := root.RoleGrantPermission(ctx, "app", "/app/", clientv3.GetPrefixRangeEnd("/app/"),
					clientv3.PermissionType(clientv3.PermReadWrite))
				return err
			},
		},
		"the user's role": {
			func(ctx context.Context, root *clientv3.Client) error {
				_, err := root.UserRevokeRole(ctx, "reader", "app")
				return err
			},
			func(ctx context.Context, root *clientv3.Client) error {
				_, err := root.UserGrantRole(ctx, "reader", "app")
				return err
			},
		},
		"the user's password": {
			func(ctx context.Context, root *clientv3.Client) error {
				_, err := root.UserChangePassword(ctx, "reader", "another")
				return err
			},
			func(ctx context.Context, root *clientv3.Client) error {
				_, err := root.UserChangePassword(ctx, "reader", "secret")
				return err
			},
		},
		"the user": {
			func(ctx context.Context, root *clientv3.Client) error {
				_, err := root.UserDelete(ctx, "reader")
				return err
			},
			func(ctx context.Context, root *clientv3.Client) error {
				if _, err := root.UserAdd(ctx, "reader", "secret"); err != nil {
					return err
				}
				_, err := root.UserGrantRole(ctx, "reader", "app")
				return err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
				ctx := within(t, patience)
				g := newGuarded(t, cluster)
				store := etcd.New(g.as("reader"))
				rev := must(store.Put(ctx, "/app/k", nil))(t)
				running := read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1))
				running.batch()
				if err := change.away(ctx, g.root); err != nil {
					t.Fatal(err)
				}
				// The watch comes first: it must notice without the help of a read.
				read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1)).end(kv.ErrPermission)
				if _, err := store.Get(ctx, kv.Key("/app/k")); !errors.Is(err, kv.ErrPermission) {
					t.Errorf("a get without the permission: %v, want %v", err, kv.ErrPermission)
				}
				if _, err := store.Put(ctx, "/app/k", nil); !errors.Is(err, kv.ErrPermission) {
					t.Errorf("a put without the permission: %v, want %v", err, kv.ErrPermission)
				}
				if err := change.back(ctx, g.root); err != nil {
					t.Fatal(err)
				}
				// The client may still hold an old token. The read replaces it.
				must(store.Get(ctx, kv.Key("/app/k")))(t)
				read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1)).nextIs(rev)
			})
		})
	}
}

// A stream keeps the token that it was opened with. Once the token has expired, etcd refuses every new watch on that stream.
func TestAnExpiredTokenIsReplaced(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, time.Hour)
		g := newGuarded(t, cluster)
		store := etcd.New(g.as("reader"))
		rev := must(store.Put(ctx, "/app/k", nil))(t)
		keeps := read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1)) // keeps the stream open
		keeps.batch()
		// Each try uses the token and so extends its life. So the time between two tries grows.
		for wait := time.Second; ; wait *= 2 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				t.Fatal(context.Cause(ctx))
			}
			_, err, _ := read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1)).pull()
			if err == nil {
				continue
			}
			if !errors.Is(err, kv.ErrPermission) {
				t.Fatalf("got %v, want %v", err, kv.ErrPermission)
			}
			break
		}
		must(store.Get(ctx, kv.Key("/app/k")))(t)
		read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1)).nextIs(rev)
		// The watch that has run all the time does not notice.
		rev = must(store.Put(ctx, "/app/k", nil))(t)
		keeps.nextIs(rev)
	}, etcdtest.WithConfig(func(_ int, config *embed.Config) { config.AuthTokenTTL = 1 }))
}

// A signed token names the state of the users and roles for which it was issued. Any change to a user or a role makes the token old.
// Etcd in memory has no signed tokens.
func TestASignedTokenThatIsOldIsReplaced(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of the members"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGuarded(t, etcdmem.Any(etcdtest.Start(t, 1, etcdtest.WithConfig(func(_ int, config *embed.Config) {
		config.AuthToken = "jwt,sign-method=HS256,ttl=5m,priv-key=" + secret
	}))))
	store := etcd.New(g.as("reader"))
	rev := must(store.Put(ctx, "/app/k", nil))(t)
	keeps := read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1)) // keeps the stream open
	keeps.batch()
	for i := range 3 {
		must(g.root.UserAdd(ctx, fmt.Sprint("somebody else ", i), "secret"))(t)
		// This refusal is temporary, so it is not reported as a lost permission.
		read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1)).end(kv.ErrUnavailable)
		// The next watch works without a read: it opens a new stream, and a new stream gets a new token.
		read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1)).nextIs(rev)
		must(g.root.UserAdd(ctx, fmt.Sprint("yet another ", i), "secret"))(t)
		must(store.Get(ctx, kv.Key("/app/k")))(t)
		rev = must(store.Put(ctx, "/app/k", nil))(t)
		// The watch that has run all the time does not notice.
		keeps.nextIs(rev)
	}
}

func TestACallerWithoutANameIsRefused(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(newGuarded(t, cluster).Client())
		_, err := store.Get(ctx, kv.Key("/app/k"))
		checkError(t, "a get", err, kv.ErrPermission, rpctypes.ErrUserEmpty)
		_, err = store.Put(ctx, "/app/k", nil)
		checkError(t, "a put", err, kv.ErrPermission, rpctypes.ErrUserEmpty)
		_, err = read(t, store.Watch(ctx, kv.Key("/app/k"), 1)).end(kv.ErrPermission)
		checkError(t, "a watch", err, kv.ErrPermission, nil)
	})
}

// etcd does not notify a running watch. Only a new watch or a read finds out.
func TestARunningWatchDoesNotReportARevokedPermission(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		g := newGuarded(t, cluster)
		store := etcd.New(g.as("reader"))
		rev := must(store.Put(ctx, "/app/k", nil))(t)
		running := read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1))
		running.batch()
		must(g.root.UserDelete(ctx, "reader"))(t)
		rev = must(etcd.New(g.root).Put(ctx, "/app/k", nil))(t)
		running.nextIs(rev)
		// The refusal of another watch does not end it either.
		read(t, store.Watch(ctx, kv.Key("/app/k"), rev-1)).end(kv.ErrPermission)
		rev = must(etcd.New(g.root).Put(ctx, "/app/k", nil))(t)
		running.nextIs(rev)
	})
}
