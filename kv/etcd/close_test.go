package etcd_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// A reader that has lost its permission ends its watch when a read is refused. If the read made the Store ask whether the stream of the
// watch is alive, that would be refused at the same moment, and etcd's client could wait for ever.
func TestAClientThatHasLostItsPermissionCanBeClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := within(t, time.Hour)
		g := newGuarded(t, etcdmem.Any(etcdmem.Start(t, 1)))
		rev := must(etcd.New(g.root).Put(ctx, "/app/k", nil))(t)
		const clients = 100 // what comes first is a matter of chance
		var all []*clientv3.Client
		for range clients {
			all = append(all, g.as("reader"))
		}
		var watching, reading sync.WaitGroup
		revoked := make(chan struct{})
		for _, client := range all {
			store := etcd.New(client)
			watch, end := context.WithCancel(ctx)
			begun := make(chan struct{})
			watching.Go(func() {
				for range store.WatchAcknowledged(watch, kv.Key("/app/k"), rev, func() { close(begun) }) {
				}
			})
			reading.Go(func() {
				defer end()
				<-begun
				<-revoked
				if _, err := store.Get(ctx, kv.Key("/app/k")); err == nil {
					t.Error("a get without the permission is answered")
				}
			})
		}
		synctest.Wait()
		time.Sleep(3 * time.Second) // the streams are quiet
		must(g.root.RoleRevokePermission(ctx, "app", "/app/", clientv3.GetPrefixRangeEnd("/app/")))(t)
		close(revoked)
		reading.Wait()
		watching.Wait()
		var closing sync.WaitGroup
		for _, client := range all {
			closing.Go(func() { client.Close() })
		}
		closed := make(chan struct{})
		go func() { closing.Wait(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(time.Minute):
			panic("promised: a client without a watch can be closed; after a minute the Close of some client had not returned")
		}
	})
}

func TestARefusedReadDoesNotExamineAQuietStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		client := s.client()
		client.get = func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) {
			return nil, rpctypes.ErrPermissionDenied
		}
		store := etcd.New(client)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		idle(t, ctx, store)
		time.Sleep(time.Minute)
		for what, read := range map[string]func() error{
			"get":       func() error { _, err := store.Get(ctx, kv.Key("k")); return err },
			"stat":      func() error { _, err := store.Stat(ctx, kv.Key("k")); return err },
			"summarize": func() error { _, err := store.Summarize(ctx, kv.Prefix("k"), 1, 1); return err },
		} {
			if err := read(); !errors.Is(err, kv.ErrPermission) {
				t.Fatalf("%s: %v, want %v", what, err, kv.ErrPermission)
			}
			time.Sleep(time.Minute)
			if got := s.watches("0") - 1; got != 0 {
				t.Fatalf("promised: the stream is not asked whether it is alive when a %s is refused; it was asked %d times", what, got)
			}
		}
	})
}

func TestAnUnansweredReadExaminesAQuietStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(t)
		client := s.client()
		client.get = func(ctx context.Context, _ clientv3.Op) (*clientv3.GetResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		store := etcd.New(client)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		idle(t, ctx, store)
		time.Sleep(time.Minute)
		reading := make(chan struct{})
		go func() {
			defer close(reading)
			store.Get(ctx, kv.Key("k"))
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.watches("0") - 1; got != 1 {
			t.Errorf("promised: a read that is not answered asks once, soon, whether the stream is alive; after a second it was asked %d times", got)
		}
		cancel()
		<-reading
	})
}
