package property_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/property_test/internal/history"
	"github.com/watchkv/watchkv/property_test/internal/nemesis"
	"github.com/watchkv/watchkv/property_test/internal/workload"
)

// To run for long:
//
//	go test ./property_test -run '^TestEtcdIsLinearizableUnderFaults$' -faults=1h -timeout=0 -v
var (
	faultsFor = flag.Duration("faults", 7*time.Second, "how long TestEtcdIsLinearizableUnderFaults runs its cluster with faults")
	faultSeed = flag.Uint64("faultseed", 1, "the seed of the workload and the faults")
)

func TestMemoryIsLinearizable(t *testing.T) {
	leaktest.Check(t)
	for seed := range uint64(10) {
		store := memory.New()
		w := workload.Workload{Prefix: "/", Seed: seed, Operations: 400, Timeout: time.Minute}
		for range 8 {
			w.Stores = append(w.Stores, store)
		}
		watchers := []workload.Watcher{
			{Name: "a watch of all keys", Store: store, Every: 1000},
			{Name: "a watch that stops often", Store: store, Every: 3},
			{Name: "a watch of one key", Store: store, Every: 20, Key: true},
		}
		run, err := w.Record(t.Context(), watchers, func(context.Context) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if !run.Check(t) {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// The workload runs in rounds, each with new keys, so that no history is too long to judge.
const roundTime = 7 * time.Second

func TestEtcdIsLinearizableUnderFaults(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 3, etcdtest.WithProcesses())
	harm := nemesis.New(etcdmem.Any(cluster), nemesis.OfMembers, *faultSeed, 300*time.Millisecond)
	a := newArena(cluster, *faultSeed)
	var sum tally
	for began := time.Now(); time.Since(began) < *faultsFor; {
		run := a.round(t, min(roundTime, *faultsFor), harm)
		sum.add(run)
		if !run.Check(t) {
			t.Fatalf("in round %d with seed %d, after %v", a.rounds, *faultSeed, harm.Done())
		}
	}
	t.Logf("%v; %v", sum, harm.Counts())
	if sum.done == 0 || sum.events == 0 || len(harm.Done()) == 0 {
		t.Error("nothing was tried")
	}
}

// arena is a cluster with its clients and its watchers.
type arena struct {
	seed     uint64
	rounds   int
	clients  []history.Store
	watchers []workload.Watcher
}

func newArena(cluster *etcdtest.Cluster, seed uint64) *arena {
	a := &arena{seed: seed}
	for range 5 {
		a.clients = append(a.clients, etcd.New(cluster.Client()))
	}
	for i := range cluster.Size() {
		a.watchers = append(a.watchers, workload.Watcher{
			Name:  fmt.Sprintf("a watch on member %d", i),
			Store: etcd.New(cluster.Client(i)),
			Every: 50,
		})
	}
	a.watchers = append(a.watchers,
		workload.Watcher{Name: "a watch of one key", Store: etcd.New(cluster.Client()), Every: 1000, Key: true})
	return a
}

// round runs the clients while faults happen, and returns the recorded history.
func (a *arena) round(t *testing.T, length time.Duration, harm *nemesis.Nemesis) history.Run {
	a.rounds++
	w := workload.Workload{
		Stores:     a.clients,
		Prefix:     fmt.Sprintf("/%d/", a.rounds),
		Seed:       a.seed + uint64(a.rounds),
		Operations: 10_000,
		Timeout:    time.Second,
		Pause:      8 * time.Millisecond,
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	run, err := w.Record(ctx, a.watchers, harm.Run)
	if err != nil {
		t.Fatalf("round %d with seed %d: %v", a.rounds, a.seed, err)
	}
	return run
}

// tally adds up counts of histories.
type tally struct{ done, conflicts, unknown, events, resumed, cut int }

func (s *tally) add(run history.Run) {
	for _, o := range run.Operations {
		switch o.Outcome {
		case history.Done:
			s.done++
		case history.Conflict:
			s.conflicts++
		case history.Unknown:
			s.unknown++
		}
	}
	for _, w := range run.Watches {
		s.events += w.Events()
		s.resumed += len(w.Segments) - 1
		for _, segment := range w.Segments[:len(w.Segments)-1] {
			if segment.Err != nil {
				s.cut++
			}
		}
	}
}

func (s tally) String() string {
	return fmt.Sprintf("%d operations (%d done, %d refused by their condition, %d of unknown outcome), "+
		"%d events watched, %d watches resumed, %d of them cut off",
		s.done+s.conflicts+s.unknown, s.done, s.conflicts, s.unknown, s.events, s.resumed, s.cut)
}
