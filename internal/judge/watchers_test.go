package judge_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// inBubble runs a test in a bubble. The test gets a store with faults, a writer that the faults do not affect, and a set with a watcher of each
// mode.
func inBubble(t *testing.T, seed uint64, trace *judge.Trace, test func(*testing.T, *fault.Store, *judge.Writer, *judge.Watchers)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		faults := fault.New(store)
		watchers := judge.NewWatchers(faults, key, judge.Config{Seed: seed, Pace: time.Second, Trace: trace})
		defer watchers.Close()
		watchers.OpenAll()
		test(t, faults, begin(t, store), watchers)
	})
}

func TestAllWatchersReturnEveryWrite(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, faults *fault.Store, writer *judge.Writer, watchers *judge.Watchers) {
		for range 10 {
			check(t, writer.Put(t.Context()))
			check(t, writer.PutBad(t.Context()))
			check(t, writer.Delete(t.Context()))
			pass(t)
		}
		check(t, watchers.Settle(t.Context(), writer))
		check(t, watchers.Judge(writer))
		if n := watchers.Counts(); n.Watchers != len(judge.Modes()) || n.Updates < 10 || n.Deletions < 10 || n.Bad < 10 || n.Cancelled == 0 {
			t.Errorf("%v", n)
		}
		if n := watchers.Values(); n != 2 || faults.Counts().Streams != n {
			t.Errorf("%d Values have %d watches, want 2 and 2", n, faults.Counts().Streams)
		}
		watchers.Close()
		if n := faults.Counts().Streams; n != 0 {
			t.Errorf("a closed set of watchers leaves %d watches of the store", n)
		}
	})
}

func TestWatchersThatAreCutOffDoNotSettle(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, faults *fault.Store, writer *judge.Writer, watchers *judge.Watchers) {
		check(t, writer.Put(t.Context()))
		check(t, watchers.Settle(t.Context(), writer))
		faults.Cut()
		check(t, writer.Put(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := watchers.Settle(ctx, writer); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Settle returned %v, want %v", err, context.DeadlineExceeded)
		}
		var broken *judge.Violation
		if err := watchers.Judge(writer); !errors.As(err, &broken) {
			t.Errorf("the judge found %v, but the watchers have not returned the newest value", err)
		}
	})
}

// A watcher that is closed before it returns anything breaks no guarantee.
func TestWatchersComeAndGo(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, faults *fault.Store, writer *judge.Writer, watchers *judge.Watchers) {
		check(t, writer.Put(t.Context()))
		for range judge.Modes() {
			watchers.CloseOne(3)
		}
		watchers.CloseOne(3) // does nothing: no watcher is open
		check(t, writer.Put(t.Context()))
		watchers.Open(judge.Modes()[1])
		check(t, watchers.Settle(t.Context(), writer))
		check(t, watchers.Judge(writer))
		if n := watchers.Values(); n != 1 || faults.Counts().Streams != n {
			t.Errorf("%d Values have %d watches, want 1 and 1", n, faults.Counts().Streams)
		}
	})
}

// With another seed, an observer sees another order of events in the same program.
func TestSchedulesVaryWithTheSeed(t *testing.T) {
	const seeds = 200
	ways := map[uint64]bool{}
	for seed := range uint64(seeds) {
		trace := new(judge.Trace)
		inBubble(t, seed, trace, func(t *testing.T, faults *fault.Store, writer *judge.Writer, watchers *judge.Watchers) {
			for range 5 {
				check(t, writer.Put(t.Context()))
				faults.EndStreams(kv.ErrUnavailable)
				synctest.Wait()
			}
			check(t, watchers.Settle(t.Context(), writer))
			check(t, watchers.Judge(writer))
		})
		ways[trace.Sum()] = true
	}
	t.Logf("one program gave %d different runs with %d seeds", len(ways), seeds)
	if len(ways) < seeds*9/10 {
		t.Errorf("one program gave only %d different runs with %d seeds", len(ways), seeds)
	}
}
