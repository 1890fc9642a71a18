package property_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/storage/mvcc"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/property_test/internal/follow"
	"github.com/watchkv/watchkv/value"
)

// clusterGround is a cluster of etcd, of which a majority can be reached at any time, but for a moment.
type clusterGround struct {
	*etcd.Store
	cluster *etcdtest.Cluster
}

func newClusterGround(cluster *etcdtest.Cluster) *clusterGround {
	return &clusterGround{Store: etcd.New(cluster.Client()), cluster: cluster}
}

// writeTimeout is when a write is given up whose outcome is then unknown.
const writeTimeout = 2 * time.Second

func (g *clusterGround) Put(ctx context.Context, key string, v []byte, c ...kv.Condition) (kv.Revision, error) {
	limited, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	revision, err := g.Store.Put(limited, key, v, c...)
	return revision, givenUp(ctx, limited, err)
}

func (g *clusterGround) Delete(ctx context.Context, key string, c ...kv.Condition) (kv.Revision, error) {
	limited, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	revision, err := g.Store.Delete(limited, key, c...)
	return revision, givenUp(ctx, limited, err)
}

func givenUp(ctx, limited context.Context, err error) error {
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return fmt.Errorf("%w: given up: %w", kv.ErrUnavailable, err)
	}
	return err
}

func (g *clusterGround) Compact(ctx context.Context, revision kv.Revision) error {
	err := g.cluster.Compact(ctx, int64(revision))
	if errors.Is(err, mvcc.ErrCompacted) {
		return nil // it was
	}
	return err
}

// Quiet does nothing: of a cluster nobody can know.
func (g *clusterGround) Quiet() {}

func (g *clusterGround) Pass(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d/200)
	defer cancel()
	<-ctx.Done()
}

func (g *clusterGround) Heal(ctx context.Context) error {
	g.cluster.Heal()
	return g.cluster.Restart(ctx)
}

func (g *clusterGround) Actions() map[string]follow.Action {
	// Each begins with a whole cluster, or the next could find no majority.
	broken := func(do func(ctx context.Context, member int) error) follow.Action {
		return func(ctx context.Context, _ *follow.Stage, n int) error {
			if err := g.Heal(ctx); err != nil {
				return err
			}
			return do(ctx, n%g.cluster.Size())
		}
	}
	return map[string]follow.Action{
		"stop a member":       broken(func(_ context.Context, member int) error { g.cluster.Stop(member); return nil }),
		"partition a member":  broken(func(_ context.Context, member int) error { g.cluster.Partition(member); return nil }),
		"heal the cluster":    broken(func(context.Context, int) error { return nil }),
		"move the leader":     broken(g.cluster.MoveLeader),
		"restart the cluster": broken(func(ctx context.Context, _ int) error { g.cluster.Stop(); return g.cluster.Restart(ctx) }),
	}
}

// clusterActions are those of programs for a cluster, beside the usual ones.
var clusterActions = []string{
	"stop a member", "partition a member", "heal the cluster", "move the leader", "restart the cluster",
	"cut", "heal", "heal", "end", "end quietly", "freeze", "silence", "fail", "refuse a watch", "compact", "delay", "hold", "release",
}

// V3 to V8, V12 and V13, over a real cluster whose members stop, restart, are cut off and change their leader. It
// plays one program for every twenty that -rapid.checks asks for.
func TestValuesUnderFaultsOnACluster(t *testing.T) {
	leaktest.Check(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline(t))
	defer cancel()
	ground := newClusterGround(etcdtest.Start(t, 3))
	programs := follow.Programs(append(clusterActions, usual...))
	seed := rapidFlag[uint64]("rapid.seed")
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	var counts follow.Counts
	played, written := 0, 0
	began := time.Now()
	for ; played < max(rapidFlag[int]("rapid.checks")/20, 1); played++ {
		p := programs.Example(int(seed) + played)
		n, writes, err := playOnCluster(ctx, ground, fmt.Sprintf("/%d", played), p)
		if err != nil {
			t.Fatalf("program %d, %#v\n%v\nto play it alone: -run '^%s$' -rapid.checks=1 -rapid.seed=%d",
				played, p, err, t.Name(), seed+uint64(played))
		}
		counts.Add(n)
		written += writes
	}
	t.Logf("%d programs of %d writes in %v, from seed %d; %v", played, written, time.Since(began), seed, counts)
}

// playOnCluster plays a program once.
func playOnCluster(ctx context.Context, ground *clusterGround, key string, p follow.Program) (n follow.Counts, writes int, err error) {
	s, err := follow.NewStage(ctx, ground, key, follow.Config{
		Seed: p.Seed, Pace: 10 * time.Millisecond,
		Options: []value.Option{value.WithRetry(5*time.Millisecond, 200*time.Millisecond), value.WithCheck(500 * time.Millisecond)},
	})
	if err != nil {
		return n, 0, err
	}
	defer s.Crowd.Close()
	s.Crowd.OpenAll() // a program costs seconds, a watcher nothing
	settled := s.Play(ctx, p)
	s.Crowd.Close()
	if err := errors.Join(s.Crowd.Judge(s.Log), settled); err != nil {
		return n, 0, err
	}
	if left := s.Faults.Counts(); left.Streams != 0 || left.Blocked != 0 {
		return n, 0, fmt.Errorf("V12, W12 (nothing is left): when all watchers are closed there are %v", left)
	}
	for member := range ground.cluster.Size() {
		if err := ground.cluster.WaitWatchers(ctx, member, 0); err != nil {
			return n, 0, err
		}
	}
	acknowledged, unknown := s.Log.Writes()
	return s.Crowd.Counts(), acknowledged + unknown, nil
}

// deadline is how long a test may take: it bounds failure only.
func deadline(t *testing.T) time.Duration {
	if end, ok := t.Deadline(); ok {
		return time.Until(end) * 9 / 10
	}
	return 24 * time.Hour
}

func rapidFlag[T any](name string) T { return flag.Lookup(name).Value.(flag.Getter).Get().(T) }
