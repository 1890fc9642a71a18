package property_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// bubbleGround is a memory store in a bubble.
type bubbleGround struct {
	*memory.Store
	backup *memory.Backup
}

func newBubbleGround() *bubbleGround {
	store := memory.New()
	return &bubbleGround{Store: store, backup: store.Backup()}
}

func (g *bubbleGround) Compact(ctx context.Context, revision kv.Revision) error {
	err := g.Store.Compact(ctx, revision)
	if errors.Is(err, kv.ErrCompacted) {
		return nil // the revision was compacted already
	}
	return err
}

func (g *bubbleGround) Quiet() { synctest.Wait() }

func (g *bubbleGround) Pass(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
	synctest.Wait()
}

func (g *bubbleGround) Actions() map[string]judge.Action {
	return map[string]judge.Action{
		"back up": func(context.Context, *judge.Harness, int) error {
			g.backup = g.Backup()
			return nil
		},
		"restore": func(ctx context.Context, s *judge.Harness, _ int) error {
			return s.Restore(ctx, func(context.Context) (kv.Revision, error) {
				return g.backup.Revision(), g.Restore(g.backup)
			})
		},
	}
}

// run is the outcome of one run of a program.
type run struct {
	err    error // a broken guarantee, or a failure of the test
	sum    uint64
	steps  int
	counts judge.Counts
}

// makeHarness is [judge.NewHarness] or [judge.NewRangeHarness].
type makeHarness func(ctx context.Context, ground judge.Ground, name string, config judge.Config) (*judge.Harness, error)

// playInBubble plays a program once.
func playInBubble(t *rapid.T, p judge.Program, harness makeHarness) (r run) {
	const key = "/key"
	defer func() {
		if p := recover(); p != nil { // a panic of the bubble
			r.err = fmt.Errorf("V12, W12 (nothing is left): %v", p)
		}
	}()
	rapid.SyncTest(t, func(t *rapid.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
		defer cancel()
		trace := new(judge.Trace)
		ground := newBubbleGround()
		s, err := harness(ctx, ground, key, judge.Config{
			Seed: p.Seed, Pace: time.Second, Options: optionsFor(p), Trace: trace,
		})
		if err != nil {
			r.err = err
			return
		}
		defer s.Watchers.Close()
		settled := s.Play(ctx, p)
		ground.Pass(ctx, 2*time.Minute) // everything was returned, so another return is wrong
		watches := s.Faults.Counts().Streams
		least, most := s.Watchers.Watches()
		s.Watchers.Close()
		r.err = errors.Join(s.Judge(), settled)
		left := s.Faults.Counts()
		switch {
		case r.err != nil:
		case watches < least || watches > most:
			r.err = fmt.Errorf("V12 (one watch of the store per Value): there are %d watches, want %d to %d", watches, least, most)
		case left.Streams != 0 || left.Blocked != 0:
			r.err = fmt.Errorf("V12, W12 (nothing is left): after all watchers were closed there are %v", left)
		}
		r.sum, r.steps, r.counts = trace.Sum(), trace.Steps(), s.Watchers.Counts()
	})
	return r
}

// optionsFor returns the options of a program's Values. Half of the programs have no check of a silent watch, because that check would
// repair within a minute what must never be wrong. Programs whose streams lose events, or whose store is replaced between a read
// and the watch after it, need the check.
func optionsFor(p judge.Program) []value.Option {
	needed := slices.ContainsFunc(p.Steps, func(s judge.Step) bool { return s.Action == "drop" || s.Action == "restore" })
	if p.Seed%2 == 0 && !needed {
		return []value.Option{value.WithCheck(0)}
	}
	return nil
}
