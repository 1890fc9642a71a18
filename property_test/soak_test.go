package property_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/property_test/internal/nemesis"
	"github.com/watchkv/watchkv/value"
)

var (
	soakFor  = flag.Duration("soak", 5*time.Second, "how long TestSoak runs")
	soakSeed = flag.Uint64("soakseed", 1, "the seed of all choices of TestSoak")
)

// TestSoak runs a cluster with faults for the time of -soak. It checks two properties concurrently: the operations of clients are
// linearizable, and a set of watchers of a value keeps its guarantees.
//
//	go test ./property_test -run '^TestSoak$' -soak=30m -timeout=0 -v
func TestSoak(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	t.Cleanup(func() { t.Logf("goroutines: %d at the start, %d at the end", goroutines, runtime.NumGoroutine()) })
	leaktest.Check(t) // it runs before the cleanup above
	cluster := etcdtest.Start(t, 3, etcdtest.WithProcesses())
	s := &soak{
		began:   time.Now(),
		cluster: cluster,
		harm:    nemesis.New(etcdmem.Any(cluster), nemesis.OfMembers, *soakSeed, 300*time.Millisecond),
		arena:   newArena(cluster, *soakSeed),
		ground:  newClusterGround(etcdmem.Any(cluster)),
		watched: etcd.New(cluster.Client()),
	}
	for reported := s.began; time.Since(s.began) < *soakFor; {
		s.round(t)
		if time.Since(reported) >= time.Minute {
			reported = time.Now()
			t.Log(s)
		}
	}
	t.Logf("in the end: %v; nothing was lost, nothing was reordered", s)
	s.checkHeap(t)
}

// soak is the state of TestSoak.
type soak struct {
	began   time.Time
	cluster *etcdtest.Cluster
	harm    *nemesis.Nemesis
	arena   *arena
	ground  *clusterGround
	watched kv.Store // the store of the watchers

	sum      tally
	returned judge.Counts
	written  int      // how many writes the watched value got
	heap     []uint64 // bytes in use after each round
}

// round fails the test at the first broken promise.
func (s *soak) round(t *testing.T) {
	seed := *soakSeed + uint64(s.arena.rounds)
	key := fmt.Sprintf("/value/%d", s.arena.rounds)
	begin, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	writer, err := judge.NewWriter(begin, s.ground, key)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), min(2*roundTime, *soakFor))
	defer cancel()
	watchers := judge.NewWatchers(s.watched, key, judge.Config{
		Seed: seed, Pace: 10 * time.Millisecond,
		Options: []value.Option{value.WithRetry(5*time.Millisecond, 200*time.Millisecond), value.WithCheck(500 * time.Millisecond)},
	})
	defer watchers.Close()
	watchers.OpenAll()
	written := make(chan struct{})
	go func() {
		defer close(written)
		writeValue(ctx, writer, seed)
	}()

	run := s.arena.round(t, min(2*roundTime, *soakFor), s.harm)
	<-written
	settle, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	settled := watchers.Settle(settle, writer)
	watchers.Close()
	if err := watchers.Judge(writer); err != nil {
		t.Errorf("the value is wrong: %v", err)
	} else if settled != nil {
		t.Errorf("the watchers have not returned everything: %v", settled)
	}
	if !run.Check(t) || t.Failed() {
		t.Fatalf("in round %d with seed %d", s.arena.rounds, *soakSeed)
	}

	s.sum.add(run)
	s.returned.Add(watchers.Counts())
	acknowledged, unknown := writer.Writes()
	s.written += acknowledged + unknown
	if err := s.cluster.Compact(settle, int64(run.Log.Until)); err != nil { // like an operator
		t.Logf("not compacted: %v", err)
	}
	s.heap = append(s.heap, heapInUse())
}

// writeValue writes the value until ctx is done. The log finds out the outcome of each write.
func writeValue(ctx context.Context, writer *judge.Writer, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	for {
		switch n := random.IntN(10); n {
		case 0:
			writer.PutBad(ctx)
		case 1:
			writer.Delete(ctx)
		default:
			writer.Put(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(random.Int64N(int64(40 * time.Millisecond)))):
		}
	}
}

func (s *soak) String() string {
	faults := 0
	for _, n := range s.harm.Counts() {
		faults += n
	}
	text := fmt.Sprintf("%v, %d rounds: %v; %d writes of a value, %v; %d faults survived %v",
		time.Since(s.began).Round(time.Second), s.arena.rounds, s.sum, s.written, s.returned, faults, s.harm.Counts())
	if n := len(s.heap); n > 0 {
		text += fmt.Sprintf("; heap %.1f MiB, %.1f MiB after the first round", mebibytes(s.heap[n-1]), mebibytes(s.heap[0]))
	}
	return text
}

// checkHeap checks that a round leaves nothing in memory: the last rounds use as little as the first ones.
func (s *soak) checkHeap(t *testing.T) {
	const some = 10
	if len(s.heap) < 3*some {
		return // too few rounds
	}
	first, last := slices.Min(s.heap[:some]), slices.Min(s.heap[len(s.heap)-some:])
	t.Logf("heap: %.1f MiB in the first %d rounds, %.1f MiB in the last", mebibytes(first), some, mebibytes(last))
	if last > first+first/2+4<<20 { // the servers' logs may keep up to 4 MiB
		t.Errorf("the heap has grown from %d to %d bytes", first, last)
	}
}

func mebibytes(n uint64) float64 { return float64(n) / (1 << 20) }

func heapInUse() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
