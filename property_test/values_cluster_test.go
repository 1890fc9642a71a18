package property_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/value"
)

// clusterGround is a cluster of etcd, or of etcd in memory.
type clusterGround struct {
	*etcd.Store
	cluster  etcdmem.AnyCluster
	inMemory bool
}

func newClusterGround(cluster etcdmem.AnyCluster) *clusterGround {
	return &clusterGround{Store: etcd.New(cluster.Client()), cluster: cluster}
}

// writeTimeout is the timeout of a write. After that, the outcome of the write is unknown.
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

func (g *clusterGround) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	limited, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	revision, err := g.Store.Commit(limited, ops...)
	return revision, givenUp(ctx, limited, err)
}

func givenUp(ctx, limited context.Context, err error) error {
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return fmt.Errorf("%w: given up: %w", kv.ErrUnavailable, err)
	}
	return err
}

func (g *clusterGround) Compact(ctx context.Context, revision kv.Revision) error {
	return g.cluster.Compact(ctx, int64(revision))
}

// Quiet does nothing, because a test cannot know when a cluster is quiet.
func (g *clusterGround) Quiet() {}

func (g *clusterGround) Pass(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d/200)
	defer cancel()
	<-ctx.Done()
}

// Actions returns none, because a fault of a cluster concerns all its keys.
func (g *clusterGround) Actions() map[string]judge.Action { return nil }

// disturb makes some faults in a cluster while harnesses play on it, and finally ends all faults. Except for moments, there is always a majority.
func (g *clusterGround) disturb(ctx context.Context, harnesses []*judge.Harness, seed uint64, times int) error {
	random := rand.New(rand.NewPCG(seed, 0))
	things := []func(member int) error{
		func(member int) error { g.cluster.Stop(member); return nil },
		func(member int) error { g.cluster.Partition(member); return nil },
		func(member int) error { return g.moveLeader(ctx, member) },
		func(int) error { g.cluster.Stop(); return g.cluster.Restart(ctx) },
		func(int) error { return g.compact(ctx, harnesses) },
	}
	if network := g.cluster.Network(); g.inMemory {
		things = append(things,
			func(member int) error { network.Swallow(member); return nil },
			func(member int) error { network.SwallowAnswers(member); return nil },
			func(member int) error { network.Reset(member); return nil },
			func(member int) error { network.Delay(50*time.Millisecond, member); return nil },
		)
	}
	for range times {
		if err := things[random.IntN(len(things))](random.IntN(g.cluster.Size())); err != nil {
			return err
		}
		g.Pass(ctx, time.Duration(random.Int64N(int64(time.Minute))))
		g.cluster.Heal()
		if g.inMemory {
			g.cluster.Network().Mend()
		}
		if err := g.cluster.Restart(ctx); err != nil {
			return err
		}
	}
	return nil
}

// moveLeader makes a member lead. In memory it may also fail: a leader that could not transfer its leadership still leads, and the call waits
// until its context ends, after an hour of virtual time.
func (g *clusterGround) moveLeader(ctx context.Context, member int) error {
	if !g.inMemory {
		return g.cluster.MoveLeader(ctx, member)
	}
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := g.cluster.MoveLeader(limited, member); err != nil && limited.Err() == nil {
		return err
	}
	return nil
}

// compact makes the cluster forget what all logs have resolved.
func (g *clusterGround) compact(ctx context.Context, harnesses []*judge.Harness) error {
	oldest := kv.Revision(math.MaxInt64)
	for _, s := range harnesses {
		upTo, err := s.Writer.Resolve(ctx)
		if err != nil {
			return err
		}
		oldest = min(oldest, upTo)
	}
	for _, s := range harnesses {
		s.Writer.Excuse(oldest)
	}
	return g.Compact(ctx, oldest)
}

// onClusters are the actions of programs for a cluster, in addition to the usual actions and those of disturb.
var onClusters = []string{
	"cut", "heal", "heal", "heal", "end", "end quietly", "freeze", "silence", "fail", "refuse a watch", "delay", "hold", "release",
	"pass", "pass", "pass",
}

// This tests V3 to V8 and M2 to M8 on a real cluster. Its members stop, restart, are partitioned, change their leader and forget history, while
// programs are played on many keys and ranges concurrently. The number of rounds is a hundredth of -rapid.checks:
//
//	go test ./property_test -run TestValuesUnderFaultsOnACluster -v -timeout 1h -rapid.checks=5000
func TestValuesUnderFaultsOnACluster(t *testing.T) {
	leaktest.Check(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline(t))
	defer cancel()
	ground := newClusterGround(etcdmem.Any(etcdtest.Start(t, 3)))
	seed := rapidFlag[uint64]("rapid.seed")
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	for round := range max(rapidFlag[int]("rapid.checks")/100, 1) {
		if err := playOnCluster(ctx, t, ground, round, seed+uint64(round), crowd{keys: 6, ranges: 4, disturbances: 10}); err != nil {
			t.Fatalf("%v\nto play these programs again: -run '^%s$' -rapid.checks=1 -rapid.seed=%d", err, t.Name(), seed+uint64(round))
		}
	}
}

// crowd says how much happens in a round. Zero runs means as many runs of each program as there is time for.
type crowd struct{ keys, ranges, disturbances, runs int }

// playOnCluster plays one round: some programs concurrently.
func playOnCluster(ctx context.Context, t *testing.T, ground *clusterGround, round int, seed uint64, c crowd) error {
	began := time.Now()
	actions := append(onClusters, usual...)
	programs := []*rapid.Generator[judge.Program]{judge.Programs(actions), judge.RangePrograms(actions)}
	makers := []makeHarness{judge.NewHarness, judge.NewRangeHarness}
	n := c.keys + c.ranges
	harnesses, played := make([]*judge.Harness, n), make([]judge.Program, n)
	for i := range harnesses {
		kind := 0
		if i >= c.keys {
			kind = 1
		}
		p := programs[kind].Example(int(seed)*n + i)
		s, err := makers[kind](ctx, ground, fmt.Sprintf("/%d/%d", round, i), judge.Config{
			Seed: p.Seed, Pace: 10 * time.Millisecond,
			Options: []value.Option{value.WithRetry(5*time.Millisecond, 200*time.Millisecond), value.WithCheck(500 * time.Millisecond)},
		})
		if err != nil {
			return err
		}
		defer s.Watchers.Close()
		s.Watchers.OpenAll() // a program takes seconds, and watchers cost nothing
		harnesses[i], played[i] = s, p
	}
	if err := runAll(ctx, ground, harnesses, played, seed, c); err != nil {
		return err
	}
	var counts judge.Counts
	writes, unknown := 0, 0
	for i, s := range harnesses {
		settled := s.Settle(ctx)
		s.Watchers.Close()
		err := errors.Join(s.Judge(), settled)
		if left := s.Faults.Counts(); err == nil && (left.Streams != 0 || left.Blocked != 0) {
			err = fmt.Errorf("V12, W12 (nothing is left): after all watchers were closed there are %v", left)
		}
		if err != nil {
			return fmt.Errorf("%w\nby the program %#v", err, played[i])
		}
		counts.Add(s.Watchers.Counts())
		a, u := s.Writer.Writes()
		writes, unknown = writes+a, unknown+u
	}
	for member := range ground.cluster.Size() {
		if err := ground.cluster.WaitWatchers(ctx, member, 0); err != nil {
			return err
		}
	}
	t.Logf("seed %d: %d programs, %d disturbances of the cluster, %d writes and %d of unknown outcome, in %v; %v",
		seed, n, c.disturbances, writes, unknown, time.Since(began).Round(time.Millisecond), counts)
	return nil
}

// runAll runs every program repeatedly while the cluster is disturbed.
func runAll(ctx context.Context, ground *clusterGround, harnesses []*judge.Harness, programs []judge.Program, seed uint64, c crowd) error {
	stop := make(chan struct{})
	errs := make([]error, len(harnesses))
	var running sync.WaitGroup
	for i, s := range harnesses {
		running.Go(func() {
			for run := 0; errs[i] == nil && (c.runs == 0 || run < c.runs); run++ {
				select {
				case <-stop:
					return
				default:
					errs[i] = s.Run(ctx, programs[i])
				}
			}
		})
	}
	err := ground.disturb(ctx, harnesses, seed, c.disturbances)
	close(stop)
	running.Wait()
	return errors.Join(append(errs, err)...)
}

// deadline limits how long a failing test takes.
func deadline(t *testing.T) time.Duration {
	if end, ok := t.Deadline(); ok {
		return time.Until(end) * 9 / 10
	}
	return 24 * time.Hour
}

func rapidFlag[T any](name string) T { return flag.Lookup(name).Value.(flag.Getter).Get().(T) }
