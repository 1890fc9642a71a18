package value_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// server is one etcd server that tests share. Each test has its own key.
var server struct {
	once    sync.Once
	cluster *etcdtest.Cluster
	backend *etcdBackend
	err     error
}

func TestMain(m *testing.M) {
	etcdtest.RunMember()
	code := m.Run()
	if server.cluster != nil {
		server.cluster.Close()
	}
	os.Exit(code)
}

// onEtcd runs a test on a real server, in real time.
func onEtcd(t *testing.T, promise string, test func(w *world)) {
	t.Helper()
	if testing.Short() {
		t.Skip("a real server takes too long for -short")
	}
	server.once.Do(func() {
		if server.cluster, server.err = etcdtest.New(1); server.err == nil {
			server.backend = &etcdBackend{etcd.New(server.cluster.Client()), server.cluster}
		}
	})
	if server.err != nil {
		t.Fatalf("the test itself: %v", server.err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := server.cluster.WaitWatchers(ctx, 0, 0); err != nil {
			t.Errorf("promised: %s\nhappened: the server still has watches: %v", promise, err)
		}
	})
	test(newWorld(t, promise, server.backend, valuetest.Config{Patience: 30 * time.Second, AtOnce: 30 * time.Second}))
}

type etcdBackend struct {
	*etcd.Store
	cluster *etcdtest.Cluster
}

func (b *etcdBackend) Compact(ctx context.Context, revision kv.Revision) error {
	return b.cluster.Compact(ctx, int64(revision))
}

// The history of the shared server is not replaced, because other tests rely on it.
func (b *etcdBackend) Backup(context.Context) error  { return kv.ErrUnsupported }
func (b *etcdBackend) Restore(context.Context) error { return kv.ErrUnsupported }
