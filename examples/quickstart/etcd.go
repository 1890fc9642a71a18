package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/kv/fault"
)

// startCluster starts a cluster of three members in this process. The client of the first program knows all members. The client of the second program
// knows only the member that serves the first program. That member is made the leader.
func startCluster() (*place, error) {
	began := time.Now()
	cluster, err := etcdtest.New(3)
	if err != nil {
		return nil, err
	}
	p := &place{
		about: fmt.Sprintf("An etcd cluster of three members, started in %.1f s.", time.Since(began).Seconds()),
		key:   "/app/limits",
		first: view{etcd.New(cluster.Client()), "client of all members"},
		close: cluster.Close,
	}
	p.second = func(ctx context.Context) (view, error) {
		member, err := serving(ctx, cluster)
		if err == nil {
			err = cluster.MoveLeader(ctx, member)
		}
		if err != nil {
			return view{}, err
		}
		// The other two members always run, and are a majority.
		p.writer = etcd.New(cluster.Client((member+1)%3, (member+2)%3))
		store := fault.New(etcd.New(cluster.Client(member))) // transparent until Cut
		p.faults = breaking(cluster, member, store)
		return view{store, fmt.Sprintf("client of member %d", member)}, nil
	}
	return p, nil
}

// serving waits until a member serves a watch, and returns that member.
func serving(ctx context.Context, cluster *etcdtest.Cluster) (member int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := make(chan int, cluster.Size())
	for i := range cluster.Size() {
		go func() {
			if cluster.WaitWatchers(ctx, i, 1) == nil {
				found <- i
			}
		}()
	}
	select {
	case member = <-found:
		return member, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for a watch: %w", context.Cause(ctx))
	}
}

// breaking returns the faults of a member of the cluster, and of a client of that member.
func breaking(cluster *etcdtest.Cluster, member int, client *fault.Store) *faults {
	leader := func(ctx context.Context) error {
		_, err := cluster.WaitLeader(ctx)
		return err
	}
	return &faults{
		stop: deed{fmt.Sprintf("stop member %d, the leader", member), func(ctx context.Context) error {
			cluster.Stop(member)
			return leader(ctx)
		}},
		start: deed{fmt.Sprintf("start member %d again", member), func(ctx context.Context) error {
			return errors.Join(cluster.Restart(ctx, member), leader(ctx))
		}},
		partition: deed{fmt.Sprintf("partition member %d from the others", member), func(ctx context.Context) error {
			cluster.Partition(member)
			return leader(ctx)
		}},
		heal: deed{"heal the partition", func(ctx context.Context) error {
			cluster.Heal()
			return leader(ctx)
		}},
		cut: deed{fmt.Sprintf("cut the client of member %d off", member), func(context.Context) error {
			client.Cut()
			return nil
		}},
		mend: deed{"connect it again", func(context.Context) error {
			client.Heal()
			return nil
		}},
		compact: func(ctx context.Context, before kv.Revision) error {
			return cluster.Compact(ctx, int64(before))
		},
		watches: func(ctx context.Context, each int) error {
			for i := range cluster.Size() {
				want := 0
				if i == member {
					want = 2 * each
				}
				if err := cluster.WaitWatchers(ctx, i, want); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

const (
	// answerTimeout is how long the user's cluster may take for its first answer.
	answerTimeout = 5 * time.Second
	// tidyTimeout is how long the removal of the key from the user's cluster may take.
	tidyTimeout = 5 * time.Second
)

// dial returns the user's cluster. The program touches only one new key there, and removes it at the end.
func dial(ctx context.Context, endpoints []string) (*place, error) {
	var clients [2]*clientv3.Client
	closeClients := func() error {
		var errs []error
		for _, c := range clients {
			if c != nil {
				errs = append(errs, c.Close())
			}
		}
		return errors.Join(errs...)
	}
	for i := range clients {
		var err error
		clients[i], err = clientv3.New(etcd.KeepAlive(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()}))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connect to %q: %w", endpoints, err), closeClients())
		}
	}
	store, key := etcd.New(clients[0]), "/watchkv-quickstart-"+rand.Text()+"/limits"

	asked, cancel := context.WithTimeoutCause(ctx, answerTimeout, fmt.Errorf("no answer within %v", answerTimeout))
	defer cancel()
	if _, err := store.Get(asked, kv.Key(key)); err != nil {
		if asked.Err() != nil {
			err = context.Cause(asked)
		}
		return nil, errors.Join(fmt.Errorf("connect to %q: %w", endpoints, err), closeClients())
	}
	return &place{
		about:  fmt.Sprintf("Your etcd cluster. Only the key %q is written, and removed at the end.", key),
		key:    key,
		first:  view{store, "one client"},
		second: func(context.Context) (view, error) { return view{etcd.New(clients[1]), "another client"}, nil },
		writer: store,
		close: func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
			defer cancel()
			_, err := store.Delete(ctx, key)
			return errors.Join(err, closeClients())
		},
	}, nil
}
