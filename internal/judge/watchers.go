package judge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// Config configures a set of watchers.
type Config struct {
	// Seed decides when readers yield, rest and give up, and how the store's answers are delayed.
	Seed uint64
	// Pace is how long a reader takes, about. Zero is a millisecond.
	Pace time.Duration
	// Options are for the Values, after those that the set itself uses: a small backlog.
	Options []value.Option
	// Trace, if there is one, records everything that can be observed from outside, in order.
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

// options are those of the Values.
func (c *Config) options() []value.Option {
	return append([]value.Option{value.WithBacklog(1 + rand.New(rand.NewPCG(c.Seed, 1)).IntN(8))}, c.Options...)
}

// Watchers is a set of watchers of one key. Only one goroutine may call its methods. It must close the set.
type Watchers struct {
	config   Config
	key      string
	unsteady *unsteady
	plain    *value.Value[int]
	fallback *value.Value[int] // with a default
	all      []*reader
	hurry    chan struct{} // closed when there is to be no more rest
	hurried  sync.Once
}

// NewWatchers returns an empty set. The store is the one that has faults.
func NewWatchers(store kv.Store, key string, config Config) *Watchers {
	config.setDefaults()
	c := &Watchers{config: config, key: key, hurry: make(chan struct{}), unsteady: config.unsteady(store)}
	opts := config.options()
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
	number := len(c.all)
	f := &reader{
		watchers: c, number: number, mode: mode, value: v, watcher: v.Watch(opts...),
		random: rand.New(rand.NewPCG(c.config.Seed, uint64(number)+2)),
		done:   make(chan struct{}), changed: make(chan struct{}),
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	c.all = append(c.all, f)
	go f.run()
}

// OpenAll opens a watcher of every mode.
func (c *Watchers) OpenAll() {
	for _, mode := range Modes() {
		c.Open(mode)
	}
}

// open returns the watchers that are open.
func (c *Watchers) open() []*reader {
	var open []*reader
	for _, f := range c.all {
		if !f.closed {
			open = append(open, f)
		}
	}
	return open
}

// CloseOne closes the n-th of the watchers that are open, counted round, if any is.
func (c *Watchers) CloseOne(n int) {
	open := c.open()
	if len(open) == 0 {
		return
	}
	f := open[n%len(open)]
	f.close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// Values returns how many Values are watched now, each of which may have one watch of the store (V12).
func (c *Watchers) Values() int {
	watched := map[bool]int{}
	for _, f := range c.open() {
		watched[f.mode.Default] = 1
	}
	return watched[false] + watched[true]
}

// Watches returns how many watches of the store there may be now that nothing happens.
func (c *Watchers) Watches() (least, most int) { return c.Values(), c.Values() }

// Settle waits until every watcher that is open has returned what the key is, then writes once more and waits
// again. All faults have to be healed, and no other writer may write. When ctx ends before, it says who is
// waiting for what; [Watchers.Judge] then says which guarantee is broken.
func (c *Watchers) Settle(ctx context.Context, writer *Writer) error {
	c.hurried.Do(func() { close(c.hurry) })
	if err := c.settled(ctx, writer); err != nil {
		return err
	}
	for {
		err := writer.putWanted(ctx)
		if err == nil {
			return c.settled(ctx, writer)
		}
		if ctx.Err() != nil || !errors.Is(err, kv.ErrUnavailable) {
			return err
		}
	}
}

// settled waits until every watcher has returned what the key is. A write whose outcome was unknown may happen
// meanwhile.
func (c *Watchers) settled(ctx context.Context, writer *Writer) error {
	for before := kv.Revision(-1); ; {
		if _, err := writer.Resolve(ctx); err != nil {
			return err
		}
		u := writer.History().final()
		if u.Revision == before {
			return nil
		}
		before = u.Revision
		for _, f := range c.open() {
			if err := f.await(ctx, u); err != nil {
				return fmt.Errorf("in the end the key is %v, and watcher %d (%s) last returned %v, with the Value at %+v: %w",
					u, f.number, f.mode.Name, f.lastReturned(), f.value.Status(), err)
			}
		}
	}
}

// Close closes all watchers and waits until nothing of them runs. It may be called more than once.
func (c *Watchers) Close() {
	for _, f := range c.all {
		f.stop()
	}
	for _, f := range c.all {
		f.close()
	}
}

// Judge returns every guarantee that was broken, at most one a watcher, or nil. Those that are open are expected to
// have returned all: [Watchers.Settle] comes first.
func (c *Watchers) Judge(writer *Writer) error {
	var errs []error
	h := writer.History()
	for _, f := range c.all {
		if err := Check(h, f.record()); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Counts is what a set of watchers was returned.
type Counts struct {
	Watchers, Updates, Deletions, Bad, Gaps, Cancelled int
}

// Add adds what another set was returned.
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

// Counts returns what was returned so far.
func (c *Watchers) Counts() Counts {
	n := Counts{Watchers: len(c.all)}
	for _, f := range c.all {
		for _, t := range f.record().Returned {
			n.count(t.What)
		}
	}
	return n
}
