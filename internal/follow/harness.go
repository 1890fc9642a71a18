package follow

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
)

// Ground is what a [Harness] stands on: a store, and what can be done to it in addition to writing.
type Ground interface {
	Store
	Compact(ctx context.Context, revision kv.Revision) error
	// Pass lets time go by. In a bubble it is as much as is asked for, elsewhere a small part of it.
	Pass(ctx context.Context, d time.Duration)
	// Quiet waits until nothing happens any more, where that can be known.
	Quiet()
	// Actions are those that only this ground has, by name.
	Actions() map[string]Action
}

// Action does one thing to a harness. The error is one of the harness's own: faults are no errors.
type Action func(ctx context.Context, s *Harness, n int) error

// Harness runs one program. It has a key, the watchers of the key, and the faults between them and the store.
type Harness struct {
	Log      *Log
	Watchers *Watchers
	Faults   *fault.Store // between the watchers and the ground

	ground  Ground
	writes  *fault.Store // between the log and the ground; it only loses requests and acknowledgements
	key     string
	random  *rand.Rand
	actions map[string]Action
	holds   []*fault.Hold
	drop    *fault.Rule

	// replaced: the store was restored, which the watchers may not have noticed. Nothing may be written before it has: of a
	// store that has reached its old revision again, no watcher can know that it was replaced.
	replaced bool
}

// NewHarness returns a harness for one key, which has no faults and no watchers yet. The watchers have to be closed.
func NewHarness(ctx context.Context, ground Ground, key string, config Config) (*Harness, error) {
	s := &Harness{
		ground: ground, key: key, Faults: fault.New(ground), writes: fault.New(ground),
		random: rand.New(rand.NewPCG(config.Seed, 0)), actions: ground.Actions(),
	}
	var err error
	if s.Log, err = Begin(ctx, s.writes, key); err != nil {
		return nil, err
	}
	s.Watchers = NewWatchers(s.Faults, key, config)
	return s, nil
}

// Play does what the program says, heals everything, and waits until all watchers that are open have returned what
// there is. An error is a broken promise of the store, a failure of the harness's own, or of the watchers to settle:
// what of, [Watchers.Judge] says. Closing the watchers comes after it.
func (s *Harness) Play(ctx context.Context, p Program) error {
	if err := s.Run(ctx, p); err != nil {
		return err
	}
	return s.Settle(ctx)
}

// Run does what the program says.
func (s *Harness) Run(ctx context.Context, p Program) error {
	for _, name := range p.Watchers {
		s.Watchers.Open(modeNamed(name))
	}
	for i, step := range p.Steps {
		if err := s.Do(ctx, step); err != nil {
			return fmt.Errorf("step %d, %s %d: %w", i, step.Action, step.N, err)
		}
		s.Watchers.unsteady.jostle(ctx, s.random)
	}
	return s.noticed(ctx)
}

// Settle ends the faults between the watchers and the ground, and waits until all watchers that are open have returned
// what there is. The ground has to be whole.
func (s *Harness) Settle(ctx context.Context) error {
	s.Heal()
	return s.Watchers.Settle(ctx, s.Log)
}

// Do does one step.
func (s *Harness) Do(ctx context.Context, step Step) error {
	do := s.actions[step.Action]
	if do == nil {
		do = actions[step.Action]
	}
	if do == nil {
		return fmt.Errorf("there is no action %q here", step.Action)
	}
	return do(ctx, s, step.N)
}

// Heal ends all faults between the watchers and the ground.
func (s *Harness) Heal() {
	s.Faults.Clear()
	s.holds, s.drop = nil, nil
	s.Faults.EndStreams(kv.ErrUnavailable) // those that are silent stay so
}

// noticed waits until the watchers know that the store was replaced, if it was.
func (s *Harness) noticed(ctx context.Context) error {
	if !s.replaced {
		return nil
	}
	s.replaced = false
	s.Heal()
	s.ground.Pass(ctx, 2*time.Minute)
	return ctx.Err()
}

// Restore has the ground go back to an older state, by restore, which returns its revision.
func (s *Harness) Restore(ctx context.Context, restore func(context.Context) (kv.Revision, error)) error {
	if err := s.noticed(ctx); err != nil {
		return err
	}
	s.replaced = true
	return s.Log.Restore(ctx, restore)
}
