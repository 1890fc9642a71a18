package judge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// Config configures a set of watchers.
type Config struct {
	// Seed decides when readers yield, rest and cancel, and how long the answers of the store are delayed.
	Seed uint64
	// Pace is about how long a reader rests or waits. Zero means a millisecond.
	Pace time.Duration
	// Options are for the Values. They come after the set's own option, a small backlog.
	Options []value.Option
	// Trace, if not nil, records everything that can be observed from outside, in order.
	Trace *Trace
}

func (c *Config) setDefaults() {
	if c.Pace == 0 {
		c.Pace = time.Millisecond
	}
}

func (c *Config) unsteady(store kv.Store) *unsteady {
	return &unsteady{Store: store, seed: c.Seed, trace: c.Trace, most: c.Pace}
}

// options returns the options of the Values.
func (c *Config) options() []value.Option {
	return append([]value.Option{value.WithBacklog(1 + rand.New(rand.NewPCG(c.Seed, 1)).IntN(8))}, c.Options...)
}

// Watchers is a set of watchers of one key. Only one goroutine may call its methods. That goroutine must close the set.
type Watchers struct {
	*readers[Returned]
	plain    *value.Value[int]
	fallback *value.Value[int] // with a default
}

// NewWatchers returns an empty set of watchers of store, which is the store with the faults.
func NewWatchers(store kv.Store, key string, config Config) *Watchers {
	c := &Watchers{readers: newReaders[Returned](store, config)}
	opts := c.config.options()
	c.plain = value.New(c.unsteady, key, Decode, opts...)
	c.fallback = value.New(c.unsteady, key, Decode, append(opts, value.WithDefault(Default))...)
	return c
}

// Modes are [Modes].
func (c *Watchers) Modes() []Mode { return Modes() }

// Open opens a watcher and begins to read it.
func (c *Watchers) Open(mode Mode) {
	v := c.plain
	if mode.Default {
		v = c.fallback
	}
	var opts []value.WatchOption
	if mode.Every {
		opts = append(opts, value.EveryUpdate())
	}
	w := v.Watch(opts...)
	var where []value.GetOption[int]
	if mode.Filter {
		where = append(where, value.Where(Wanted))
	}
	c.start(&reader[Returned]{mode: mode, status: v.Status, end: w.Close, get: func(ctx context.Context) Returned {
		got, err := w.Get(ctx, where...)
		return returned(ctx, mode, got, err, w.Revision())
	}})
}

// returned describes the outcome of a Get.
func returned(ctx context.Context, mode Mode, got int, err error, revision kv.Revision) Returned {
	var bad *value.DecodeError
	var gap *value.GapError
	var text badValue
	switch {
	case err == nil && mode.Default && got == Default, errors.Is(err, value.ErrDeleted):
		return Returned{What: Deleted, Revision: revision}
	case err == nil:
		return Returned{What: Value, Revision: revision, Text: strconv.Itoa(got)}
	case errors.As(err, &bad) && errors.As(err, &text) && bad.Revision == revision:
		return Returned{What: BadValue, Revision: revision, Text: string(text)}
	case errors.As(err, &gap):
		return Returned{What: Gap, From: gap.From, To: gap.To, Text: gap.Err.Error(),
			Reset: errors.Is(err, kv.ErrReset), Lost: errors.Is(err, value.ErrLostEvent)}
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return Returned{What: Cancelled}
	case errors.Is(err, kv.ErrPermission):
		return Returned{What: Refused}
	}
	return Returned{What: Failed, Text: err.Error()}
}

// OpenAll opens a watcher of every mode.
func (c *Watchers) OpenAll() {
	for _, mode := range Modes() {
		c.Open(mode)
	}
}

// Values returns how many Values are watched now. Each may have one watch of the store (V12).
func (c *Watchers) Values() int {
	watched := map[bool]int{}
	for _, f := range c.open() {
		watched[f.mode.Default] = 1
	}
	return watched[false] + watched[true]
}

// Watches returns how many watches of the store there may be while nothing happens.
func (c *Watchers) Watches() (least, most int) { return c.Values(), c.Values() }

// Settle waits until every open watcher has returned what the key is. Then it writes once more and waits again. All faults must be
// healed, and no other writer may write. If ctx ends first, the error names a watcher and what it has not returned. Then
// [Watchers.Judge] returns the broken guarantee.
func (c *Watchers) Settle(ctx context.Context, writer *Writer) error {
	c.noMoreRest()
	end := func() final[Returned] {
		u := writer.History().final()
		return final[Returned]{u.Revision, fmt.Sprintf("the key is %v", u), func(mode Mode, seen []Returned) bool { return mode.ends(lastOf(seen), u) }}
	}
	if err := c.settled(ctx, writer.Resolve, end); err != nil {
		return err
	}
	if err := untilDone(ctx, func() error { return writer.putWanted(ctx) }); err != nil {
		return err
	}
	return c.settled(ctx, writer.Resolve, end)
}

// Judge returns every broken guarantee, at most one for each watcher, or nil. It expects that open watchers have returned everything, so the
// caller calls [Watchers.Settle] first.
func (c *Watchers) Judge(writer *Writer) error {
	var errs []error
	h := writer.History()
	for _, f := range c.all {
		seen, open := f.record()
		if err := Check(h, Record{Mode: f.mode, Returned: seen, Open: open}); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Counts counts what a set of watchers has returned.
type Counts struct {
	Watchers, Updates, Deletions, Bad, Gaps, Cancelled int
}

// Add adds the counts of another set.
func (n *Counts) Add(m Counts) {
	n.Watchers += m.Watchers
	n.Updates += m.Updates
	n.Deletions += m.Deletions
	n.Bad += m.Bad
	n.Gaps += m.Gaps
	n.Cancelled += m.Cancelled
}

func (n *Counts) count(what What) {
	switch what {
	case Value:
		n.Updates++
	case Deleted:
		n.Deletions++
	case BadValue:
		n.Bad++
	case Gap:
		n.Gaps++
	case Cancelled:
		n.Cancelled++
	}
}

func (n Counts) String() string {
	return fmt.Sprintf("%d watchers returned %d values, %d deletions, %d bad values and %d gaps; %d Gets were cancelled",
		n.Watchers, n.Updates, n.Deletions, n.Bad, n.Gaps, n.Cancelled)
}
