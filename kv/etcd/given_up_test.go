package etcd_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

func TestNothingIsLeftOfAStoppedWatch(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		rev := must(store.Put(ctx, "k", nil))(t)
		for range 10 {
			for range store.Watch(ctx, kv.Key("k"), rev-1) {
				break
			}
		}
		if err := cluster.WaitWatchers(ctx, 0, 0); err != nil {
			t.Error(err)
		}
	})
}

// When a watch is cancelled before the server has answered its request, etcd's client forgets the watch, but the server keeps it.
func TestAWatchThatIsStoppedWhileItBeginsIsNotLeftAtTheServer(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		must(store.Get(ctx, kv.Key("k")))(t)            // connected
		cluster.Network().Delay(100 * time.Microsecond) // so that watches are given up at every point of their beginning
		var watching sync.WaitGroup
		for i := range 200 {
			watching.Go(func() {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Duration(i)*20*time.Microsecond, cancel)
				for range store.Watch(ctx, kv.Key("k"), 1) {
				}
			})
		}
		watching.Wait()
		if err := cluster.WaitWatchers(ctx, 0, 0); err != nil {
			t.Error(err)
		}
	})
}

// The Store must not request a watch that was given up while it waited for its turn.
func TestManyWatchesThatAreStoppedAtOnceAreNotLeftAtTheServer(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		rev := must(store.Put(ctx, "other", nil))(t)
		keeps := read(t, store.Watch(ctx, kv.Key("other"), rev-1)) // keeps the client's stream open when the last of the others ends
		keeps.batch()
		cluster.Network().Delay(10 * time.Millisecond) // so that most of the watches wait for their turn
		givenUp, giveUp := context.WithCancel(ctx)
		time.AfterFunc(time.Millisecond, giveUp)
		var watching sync.WaitGroup
		for range 100 {
			watching.Go(func() {
				for range store.Watch(givenUp, kv.Key("k"), 1) {
				}
			})
		}
		watching.Wait()
		if err := cluster.WaitWatchers(ctx, 0, 1); err != nil {
			t.Error(err)
		}
	})
}
