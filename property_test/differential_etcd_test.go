package property_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/property_test/internal/program"
)

// differentialEtcd is one etcd member. Programs run on it one after the other. Each uses different keys.
type differentialEtcd struct {
	client *clientv3.Client

	programs, long, steps, lines int // counts: programs, programs with at least 50 steps, steps, and lines of answers
}

func startDifferentialEtcd(t testing.TB) *differentialEtcd {
	cluster := etcdtest.Start(t, 1, etcdtest.WithConfig(func(_ int, cfg *embed.Config) {
		// This is the shortest interval that etcd accepts. So bookmarks come while programs run.
		cfg.WatchProgressNotifyInterval = 100 * time.Millisecond
	}))
	return &differentialEtcd{client: cluster.Client()}
}

// run runs p. p cannot see the programs before it: their keys and their history are gone.
func (e *differentialEtcd) run(ctx context.Context, p program.Program) (program.Answers, error) {
	e.programs++
	prefix := fmt.Sprintf("%d/", e.programs)
	store := inEtcd{etcd.New(struct {
		clientv3.KV
		clientv3.Watcher
	}{namespace.NewKV(e.client, prefix), namespace.NewWatcher(e.client, prefix)}), e.client}
	start, err := program.Begin(ctx, store)
	if err != nil {
		return nil, err
	}
	answers := program.Run(ctx, store, start, p, func() {})
	e.steps += len(p)
	if len(p) >= 50 {
		e.long++
	}
	for _, answer := range answers {
		e.lines += 1 + strings.Count(answer, "\n")
	}
	_, err = e.client.Delete(ctx, prefix, clientv3.WithPrefix())
	return answers, err
}

// runNew runs p as the first program of the member.
func (e *differentialEtcd) runNew(ctx context.Context, p program.Program) program.Answers {
	return program.Run(ctx, inEtcd{etcd.New(e.client), e.client}, 1, p, func() {})
}

// inEtcd is a [program.Store] over etcd.
type inEtcd struct {
	*etcd.Store
	client *clientv3.Client
}

func (s inEtcd) Compact(ctx context.Context, at kv.Revision) error {
	_, err := s.client.Compact(ctx, int64(at))
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		return fmt.Errorf("%w: %w", kv.ErrCompacted, err)
	case errors.Is(err, rpctypes.ErrFutureRev):
		return fmt.Errorf("%w: %w", program.ErrFuture, err)
	}
	return err
}

// RequestProgress does nothing: etcd is configured to notify its watches as often as it can.
func (s inEtcd) RequestProgress(context.Context) error { return nil }
