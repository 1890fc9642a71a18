package judge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
)

// Ground is the store of a [Harness], with what can be done to it in addition to writing.
type Ground interface {
	RangeStore
	Compact(ctx context.Context, revision kv.Revision) error
	// Pass lets time pass: d in a bubble, and elsewhere a small part of d.
	Pass(ctx context.Context, d time.Duration)
	// Quiet waits until nothing happens any more, if the ground can know that.
	Quiet()
	// Actions are the actions that only this ground has, by name.
	Actions() map[string]Action
}

// Action does one thing to a harness. Its error is a failure of the harness: a fault is no error.
type Action func(ctx context.Context, h *Harness, n int) error

// Watching is the watchers of what a program writes: [Watchers] of a key, or [RangeWatchers].
type Watching interface {
	Modes() []Mode
	Open(Mode)
	OpenAll()
	CloseOne(n int)
	Watches() (least, most int)
	Counts() Counts
	Close()
}

// Harness runs one program. It has a key or a range of keys, its watchers, and the faults between the watchers and the store.
type Harness struct {
	Writer   Written
	Watchers Watching
	Faults   *fault.Store // between the watchers and the ground

	settle   func(context.Context) error
	judge    func() error
	unsteady *unsteady // the watchers'
	pace     time.Duration

	ground  Ground
	writes  *fault.Store // between the writer and the ground; it only loses requests and acknowledgements
	written kv.Range
	random  *rand.Rand
	actions map[string]Action
	holds   []*fault.Hold
	drop    *fault.Rule

	// replaced is set if the store was restored and the watchers may not have noticed it. They have to notice it before the next write,
	// because no watcher can notice it once the store has reached its old revision again.
	replaced bool
}

// NewHarness returns a harness for one key. It has no faults and no watchers yet. The caller closes the watchers.
func NewHarness(ctx context.Context, ground Ground, key string, config Config) (*Harness, error) {
	h := newHarness(ground, config)
	writer, err := NewWriter(ctx, h.writes, key)
	if err != nil {
		return nil, err
	}
	watchers := NewWatchers(h.Faults, key, config)
	h.Writer, h.Watchers, h.written = writer, watchers, kv.Key(key)
	h.unsteady, h.pace = watchers.unsteady, watchers.config.Pace
	h.settle = func(ctx context.Context) error { return watchers.Settle(ctx, writer) }
	h.judge = func() error { return watchers.Judge(writer) }
	return h, nil
}

// NewRangeHarness returns a harness for the range of the keys below name. The store must have no such keys. Otherwise it is like
// [NewHarness].
func NewRangeHarness(ctx context.Context, ground Ground, name string, config Config) (*Harness, error) {
	h := newHarness(ground, config)
	writer, err := NewRangeWriter(ctx, h.writes, name, config.Seed)
	if err != nil {
		return nil, err
	}
	watchers := NewRangeWatchers(h.Faults, writer, config)
	h.Writer, h.Watchers, h.written = writer, watchers, writer.Range()
	h.unsteady, h.pace = watchers.unsteady, watchers.config.Pace
	h.settle, h.judge = watchers.Settle, watchers.Judge
	return h, nil
}

func newHarness(ground Ground, config Config) *Harness {
	return &Harness{
		ground: ground, Faults: fault.New(ground), writes: fault.New(ground),
		random: rand.New(rand.NewPCG(config.Seed, 0)), actions: ground.Actions(),
	}
}

// Play runs the program, heals all faults, and waits until all open watchers have returned the end of the history. It returns an error if the
// store broke a promise, if the harness failed, or if the watchers have not returned the end. In the last case [Harness.Judge] returns
// the broken guarantee. The caller closes the watchers after that.
func (h *Harness) Play(ctx context.Context, p Program) error {
	if err := h.Run(ctx, p); err != nil {
		return err
	}
	return h.Settle(ctx)
}

// Run does the steps of the program.
func (h *Harness) Run(ctx context.Context, p Program) error {
	for _, name := range p.Watchers {
		h.Watchers.Open(modeNamed(h.Watchers.Modes(), name))
	}
	for i, step := range p.Steps {
		if err := h.Do(ctx, step); err != nil {
			return fmt.Errorf("step %d, %s %d: %w", i, step.Action, step.N, err)
		}
		h.unsteady.jostle(ctx, h.random)
	}
	return h.noticed(ctx)
}

// Settle ends the faults between the watchers and the ground. It waits until all open watchers have returned the end of the history. The
// ground itself must have no faults.
func (h *Harness) Settle(ctx context.Context) error {
	h.Heal()
	return h.settle(ctx)
}

// Judge returns every broken guarantee, at most one for each watcher, or nil. The caller calls [Harness.Settle] first.
func (h *Harness) Judge() error { return h.judge() }

// Do does one step.
func (h *Harness) Do(ctx context.Context, step Step) error {
	do := h.actions[step.Action]
	if do == nil {
		do = actions[step.Action]
	}
	if do == nil {
		return fmt.Errorf("there is no action %q here", step.Action)
	}
	return do(ctx, h, step.N)
}

// Heal ends all faults between the watchers and the ground.
func (h *Harness) Heal() {
	h.Faults.Clear()
	h.holds, h.drop = nil, nil
	h.Faults.EndStreams(kv.ErrUnavailable) // otherwise silent streams stay silent
}

// noticed waits, if the store was replaced, until the watchers have noticed that.
func (h *Harness) noticed(ctx context.Context) error {
	if !h.replaced {
		return nil
	}
	h.replaced = false
	h.Heal()
	h.ground.Pass(ctx, 2*time.Minute)
	return ctx.Err()
}

// Restore takes the ground back to an older state. restore does that, and returns the revision of the older state.
func (h *Harness) Restore(ctx context.Context, restore func(context.Context) (kv.Revision, error)) error {
	if err := h.noticed(ctx); err != nil {
		return err
	}
	h.replaced = true
	return h.Writer.Restore(ctx, restore)
}
