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

func TestNothingIsLeftOfAWatchThatWasBrokenOff(t *testing.T) {
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

// etcd's client forgets a watch that is cancelled before the server has answered its request; the server does not.
func TestAWatchThatIsGivenUpWhileItBeginsIsNotLeftAtTheServer(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		must(store.Get(ctx, kv.Key("k")))(t)            // connected
		cluster.Network().Delay(100 * time.Microsecond) // so that some are given up in each part of their beginning
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

// Of those that wait for their turn when they are given up, none must be asked for any more.
func TestManyWatchesThatAreGivenUpAtOnceAreNotLeftAtTheServer(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		rev := must(store.Put(ctx, "other", nil))(t)
		keeps := read(t, store.Watch(ctx, kv.Key("other"), rev-1)) // the client's stream from ending with the last of them
		keeps.batch()
		cluster.Network().Delay(10 * time.Millisecond) // so that most wait for their turn
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
