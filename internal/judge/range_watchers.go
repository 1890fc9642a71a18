package judge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// bundled is what a bundle is made of: all keys and values of the range.
type bundled map[string]string

// decodeAll decodes a bundle. It is bad if one of its values is.
func decodeAll(entries []kv.Entry) (bundled, error) {
	all := bundled{}
	for _, e := range entries {
		if _, err := Decode(e.Value); err != nil {
			return nil, err
		}
		all[e.Key[strings.LastIndexByte(e.Key, '/')+1:]] = string(e.Value)
	}
	return all, nil
}

// decodeOne decodes a value of a Map. The pointer shows whether it was decoded again.
func decodeOne(b []byte) (*int, error) {
	n, err := Decode(b)
	return &n, err
}

// RangeWatchers is a set of watchers of a Map of a range, and of a bundle of it. Only one goroutine may call its methods. It must close
// the set.
type RangeWatchers struct {
	config   Config
	writer   *RangeWriter
	unsteady *unsteady
	m        *value.Map[*int]
	bundle   *value.Value[bundled]
	all      []*rangeReader
	hurry    chan struct{} // closed when there is to be no more rest
	hurried  sync.Once
}

// NewRangeWatchers returns an empty set. The store is the one that has faults.
func NewRangeWatchers(store kv.Store, writer *RangeWriter, config Config) *RangeWatchers {
	config.setDefaults()
	c := &RangeWatchers{config: config, writer: writer, hurry: make(chan struct{}), unsteady: config.unsteady(store)}
	opts := config.options()
	c.m = value.NewMap(c.unsteady, writer.Range(), decodeOne, opts...)
	c.bundle = value.NewBundle(c.unsteady, writer.Range(), decodeAll, opts...)
	return c
}

// Modes are [RangeModes].
func (c *RangeWatchers) Modes() []Mode { return RangeModes() }

// Open opens a watcher and begins to read it.
func (c *RangeWatchers) Open(mode Mode) {
	var opts []value.WatchOption
	if mode.Every {
		opts = append(opts, value.EveryUpdate())
	}
	number := len(c.all)
	f := &rangeReader{
		watchers: c, number: number, mode: mode, random: rand.New(rand.NewPCG(c.config.Seed, uint64(number)+2)),
		done: make(chan struct{}), changed: make(chan struct{}),
	}
	if mode.Bundle {
		w := c.bundle.Watch(opts...)
		f.status, f.end = c.bundle.Status, w.Close
		f.get = func(ctx context.Context) (s sight, err error) {
			s.bundle, err = w.Get(ctx)
			s.revision = w.Revision()
			return s, err
		}
	} else {
		w := c.m.Watch(opts...)
		f.status, f.end = c.m.Status, w.Close
		f.get = func(ctx context.Context) (s sight, err error) {
			s.view, err = w.Get(ctx)
			s.revision = s.view.Revision()
			return s, err
		}
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	c.all = append(c.all, f)
	go f.run()
}

// OpenAll opens a watcher of every mode.
func (c *RangeWatchers) OpenAll() {
	for _, mode := range RangeModes() {
		c.Open(mode)
	}
}

func (c *RangeWatchers) open() (open []*rangeReader) {
	for _, f := range c.all {
		if !f.closed {
			open = append(open, f)
		}
	}
	return open
}

// CloseOne closes the n-th of the watchers that are open, counted round, if any is.
func (c *RangeWatchers) CloseOne(n int) {
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

// Watches returns how many watches of the store there may be now that nothing happens (V12): one for the Map, one for the bundle, and
// one for each watcher of every update that still reads history. On a store without bookmarks that ends with the next event only, where it
// is to read up to a revision at which nothing in the range changed.
func (c *RangeWatchers) Watches() (least, most int) {
	watched := map[bool]int{}
	for _, f := range c.open() {
		watched[f.mode.Bundle] = 1
		if f.mode.Every {
			most++
		}
	}
	least = watched[false] + watched[true]
	return least, least + most
}

// Settle waits until every watcher that is open has returned what the range holds, then writes once more and waits again, as
// [Watchers.Settle] does. Where streams have lost events, it first puts every key: the next event of a key is what proves that one was lost
// (V16).
func (c *RangeWatchers) Settle(ctx context.Context) error {
	c.hurried.Do(func() { close(c.hurry) })
	if _, dropped := c.writer.now(); dropped {
		for n := range rangeKeys {
			if err := c.writer.putKey(ctx, n); err != nil {
				return err
			}
		}
	}
	if err := c.settled(ctx); err != nil {
		return err
	}
	if err := c.writer.putKey(ctx, 0); err != nil {
		return err
	}
	return c.settled(ctx)
}

// settled waits until every watcher has returned what the range holds. A write whose outcome was unknown may happen meanwhile.
func (c *RangeWatchers) settled(ctx context.Context) error {
	for before := kv.Revision(-1); ; {
		if _, err := c.writer.Resolve(ctx); err != nil {
			return err
		}
		final := c.writer.History().final()
		if final.since == before {
			return nil
		}
		before = final.since
		for _, f := range c.open() {
			if err := f.await(ctx, final); err != nil {
				return fmt.Errorf("in the end the range holds %v since revision %d, and watcher %d (%s) last returned %v, with the Status %+v: %w",
					textsOf(final.entries), final.since, f.number, f.mode.Name, f.last(), f.status(), err)
			}
		}
	}
}

// Close closes all watchers and waits until nothing of them runs. It may be called more than once.
func (c *RangeWatchers) Close() {
	for _, f := range c.all {
		f.stop()
	}
	for _, f := range c.all {
		f.close()
	}
}

// Judge returns every guarantee that was broken, at most one a watcher, or nil. Those that are open are expected to have returned all:
// [RangeWatchers.Settle] comes first.
func (c *RangeWatchers) Judge() error {
	var errs []error
	h := c.writer.History()
	for _, f := range c.all {
		if err := judgeRange(h, f.record()); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Counts returns what was returned so far.
func (c *RangeWatchers) Counts() Counts {
	n := Counts{Watchers: len(c.all)}
	for _, f := range c.all {
		r := f.record()
		for _, s := range r.seen {
			n.count(s.what)
		}
		n.Cancelled += r.cancelled
	}
	return n
}

// rangeReader is one watcher and the goroutine that reads it.
type rangeReader struct {
	watchers *RangeWatchers
	number   int
	mode     Mode
	random   *rand.Rand
	get      func(context.Context) (sight, error)
	status   func() value.Status
	end      func() error
	ctx      context.Context
	stop     context.CancelFunc
	done     chan struct{} // closed when nothing more is returned

	mu        sync.Mutex
	seen      []sight
	cancelled int           // Gets that are not in seen
	changed   chan struct{} // closed when seen changes
	closed    bool          // by the will of the watchers, before the end
}

// run reads until the reader is stopped.
func (f *rangeReader) run() {
	defer close(f.done)
	defer f.end()
	c := f.watchers
	for f.ctx.Err() == nil {
		c.unsteady.jostle(f.ctx, f.random)
		s := f.look()
		if f.ctx.Err() != nil && s.what == Cancelled {
			return
		}
		f.note(s)
		if f.mode.Slow {
			rest(f.ctx, f.random, c.config.Pace, c.hurry)
		}
	}
}

// look is one Get.
func (f *rangeReader) look() sight {
	ctx, cancel := f.mode.limit(f.ctx, f.random, f.watchers.config.Pace)
	defer cancel()
	resets := f.status().Resets
	s, err := f.get(ctx)
	s.mode, s.what, s.err = f.mode, whatOf(ctx, err), err
	s.resetsBefore, s.resetsAfter = int(resets), int(f.status().Resets)
	s.eras, s.dropped = f.watchers.writer.now()
	return s
}

func (f *rangeReader) note(s sight) {
	f.watchers.config.Trace.note(f.number, s.what, s.revision)
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.what == Cancelled {
		f.cancelled++
		return
	}
	f.seen = append(f.seen, s)
	close(f.changed)
	f.changed = make(chan struct{})
}

// await returns nil once the reader has returned what the range holds at the end. It fails when ctx ends before.
func (f *rangeReader) await(ctx context.Context, final held) error {
	for {
		f.mu.Lock()
		last, changed := f.lastLocked(), f.changed
		f.mu.Unlock()
		if last.shows(final) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *rangeReader) last() sight {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lastLocked()
}

// lastLocked is what the watcher last returned for the range.
func (f *rangeReader) lastLocked() sight {
	for i := len(f.seen) - 1; i >= 0; i-- {
		if f.seen[i].isOfRange() {
			return f.seen[i]
		}
	}
	return sight{mode: f.mode}
}

// record returns what was returned so far.
func (f *rangeReader) record() rangeRecord {
	f.mu.Lock()
	defer f.mu.Unlock()
	return rangeRecord{mode: f.mode, seen: f.seen, cancelled: f.cancelled, open: !f.closed}
}

// close closes the watcher and waits until its reader has ended.
func (f *rangeReader) close() {
	f.stop()
	<-f.done
}
