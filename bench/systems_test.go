package bench

import (
	"context"
	"sync"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// payload is what is put: as long as a small piece of configuration.
var payload = make([]byte, 100)

// onMemory is the watchers of a Value of a store in memory.
func onMemory(opts ...value.WatchOption) system {
	store := memory.New(memory.WithHistory(10_000))
	return system{
		by: "watchkv",
		put: func(key string) error {
			_, err := store.Put(context.Background(), key, payload)
			return err
		},
		follow: watchers(store, nil, opts...),
	}
}

// onEtcd is the watchers of a Value of etcd.
func onEtcd(watch, write *clientv3.Client, opts ...value.WatchOption) system {
	return system{by: "watchkv", put: putTo(write), follow: watchers(etcd.New(watch), nil, opts...)}
}

func watchers(store kv.Store, of []value.Option, opts ...value.WatchOption) func(context.Context, *sync.WaitGroup, string, int, func()) {
	return func(ctx context.Context, running *sync.WaitGroup, key string, n int, got func()) {
		v := value.New(store, key, value.Bytes, of...)
		for range n {
			w := v.Watch(opts...)
			running.Go(func() {
				defer w.Close()
				for {
					if _, err := w.Get(ctx); err != nil {
						check(ctx, err)
						return
					}
					got()
				}
			})
		}
	}
}

// byHand is a watch of etcd's client for each follower.
func byHand(watch, write *clientv3.Client) system {
	return system{
		by:  "clientv3",
		put: putTo(write),
		follow: func(ctx context.Context, running *sync.WaitGroup, key string, n int, got func()) {
			atOnce(n, func(int) {
				responses := watch.Watch(ctx, key) // which returns when the server has it
				running.Go(func() {
					for resp := range responses {
						check(ctx, resp.Err())
						for range resp.Events {
							got()
						}
					}
				})
			})
		},
	}
}

func putTo(c *clientv3.Client) func(key string) error {
	val := string(payload)
	return func(key string) error {
		_, err := c.Put(context.Background(), key, val)
		return err
	}
}

// channel is the floor of all that wakes goroutines: each waits until one channel is closed, or its context ends.
func channel() system {
	type state struct {
		val     []byte
		changed chan struct{}
	}
	var now atomic.Pointer[state]
	now.Store(&state{changed: make(chan struct{})})
	return system{
		by: "channel",
		put: func(string) error {
			last := now.Swap(&state{val: append([]byte(nil), payload...), changed: make(chan struct{})})
			close(last.changed)
			return nil
		},
		follow: func(ctx context.Context, running *sync.WaitGroup, _ string, n int, got func()) {
			for range n {
				running.Go(func() {
					for {
						s := now.Load()
						if s.val != nil {
							got()
						}
						select {
						case <-s.changed:
						case <-ctx.Done():
							return
						}
					}
				})
			}
		},
	}
}

// check ends the program for an error that no benchmark survives. An ended context is none.
func check(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		panic(err)
	}
}
