package judge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// outcome is the outcome of a Get: [Returned] for a key, sight for a range.
type outcome interface{ outcome() (What, kv.Revision) }

// readers is a set of watchers, each with a goroutine that reads it. [Watchers] and [RangeWatchers] share it.
type readers[T outcome] struct {
	config   Config
	unsteady *unsteady
	all      []*reader[T]
	hurry    chan struct{} // closed when the readers must not rest any more
	hurried  sync.Once
}

// reader is one watcher and the goroutine that reads it.
type reader[T outcome] struct {
	set    *readers[T]
	number int
	mode   Mode
	get    func(context.Context) T // one Get
	status func() value.Status
	end    func() error // closes the watcher
	random *rand.Rand
	ctx    context.Context
	stop   context.CancelFunc
	done   chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	seen    []T
	changed chan struct{} // closed when seen changes
	closed  bool          // closed by CloseOne, before the end
}

// newReaders returns an empty set of watchers of store, which is the store with the faults.
func newReaders[T outcome](store kv.Store, config Config) *readers[T] {
	config.setDefaults()
	return &readers[T]{config: config, unsteady: config.unsteady(store), hurry: make(chan struct{})}
}

// start begins to read a watcher.
func (c *readers[T]) start(f *reader[T]) {
	f.set, f.number = c, len(c.all)
	f.random = rand.New(rand.NewPCG(c.config.Seed, uint64(f.number)+2))
	f.done, f.changed = make(chan struct{}), make(chan struct{})
	f.ctx, f.stop = context.WithCancel(context.Background())
	c.all = append(c.all, f)
	go f.run()
}

// open returns the watchers that are open.
func (c *readers[T]) open() (open []*reader[T]) {
	for _, f := range c.all {
		if !f.closed {
			open = append(open, f)
		}
	}
	return open
}

// CloseOne closes the n-th open watcher, modulo their number. It does nothing if no watcher is open.
func (c *readers[T]) CloseOne(n int) {
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

// Close closes all watchers and waits until their goroutines have ended. It may be called more than once.
func (c *readers[T]) Close() {
	for _, f := range c.all {
		f.stop()
	}
	for _, f := range c.all {
		f.close()
	}
}

// Counts counts what the watchers have returned so far.
func (c *readers[T]) Counts() Counts {
	n := Counts{Watchers: len(c.all)}
	for _, f := range c.all {
		seen, _ := f.record()
		for _, t := range seen {
			what, _ := t.outcome()
			n.count(what)
		}
	}
	return n
}

// noMoreRest makes slow readers read without rest from now on.
func (c *readers[T]) noMoreRest() { c.hurried.Do(func() { close(c.hurry) }) }

// final describes the key or the range at the end.
type final[T outcome] struct {
	since   kv.Revision
	text    string                         // a description for an error
	reached func(mode Mode, seen []T) bool // whether a watcher that has returned seen has returned the end
}

// settled waits until every open watcher has returned the end. During that time, a write whose outcome was unknown may still happen.
func (c *readers[T]) settled(ctx context.Context, resolve func(context.Context) (kv.Revision, error), end func() final[T]) error {
	for before := kv.Revision(-1); ; {
		if _, err := resolve(ctx); err != nil {
			return err
		}
		final := end()
		if final.since == before {
			return nil
		}
		before = final.since
		for _, f := range c.open() {
			if err := f.await(ctx, final); err != nil {
				return fmt.Errorf("in the end %s, but watcher %d (%s) last returned %v, with the Status %+v: %w",
					final.text, f.number, f.mode.Name, f.last(), f.status(), err)
			}
		}
	}
}

// run reads until the reader is stopped.
func (f *reader[T]) run() {
	defer close(f.done)
	defer f.end()
	for f.ctx.Err() == nil {
		f.set.unsteady.jostle(f.ctx, f.random)
		t := f.getOne()
		if what, _ := t.outcome(); f.ctx.Err() != nil && what == Cancelled {
			return
		}
		f.note(t)
		if f.mode.Slow {
			rest(f.ctx, f.random, f.set.config.Pace, f.set.hurry)
		}
	}
}

// getOne makes one Get. Impatient readers cancel it soon.
func (f *reader[T]) getOne() T {
	ctx, cancel := f.mode.limit(f.ctx, f.random, f.set.config.Pace)
	defer cancel()
	return f.get(ctx)
}

// limit returns the context of one Get. An impatient reader cancels many Gets.
func (m Mode) limit(ctx context.Context, random *rand.Rand, pace time.Duration) (context.Context, context.CancelFunc) {
	if !m.Impatient || random.IntN(3) == 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(random.Int64N(int64(pace))))
	if random.IntN(4) == 0 {
		cancel() // before the Get begins
	}
	return ctx, cancel
}

// note records the outcome of a Get. Of several cancelled Gets in a row it records the first.
func (f *reader[T]) note(t T) {
	what, revision := t.outcome()
	f.set.config.Trace.note(f.number, what, revision)
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.seen); what == Cancelled && n > 0 {
		if before, _ := f.seen[n-1].outcome(); before == Cancelled {
			return
		}
	}
	f.seen = append(f.seen, t)
	close(f.changed)
	f.changed = make(chan struct{})
}

// rest waits for a while. It ends when hurry is closed.
func rest(ctx context.Context, random *rand.Rand, pace time.Duration, hurry <-chan struct{}) {
	timer := time.NewTimer(time.Duration(random.Int64N(int64(pace) * 5)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hurry:
	case <-ctx.Done():
	}
}

// await returns nil once the reader has returned the end. It fails when ctx ends before.
func (f *reader[T]) await(ctx context.Context, end final[T]) error {
	for {
		f.mu.Lock()
		seen, changed := f.seen, f.changed
		f.mu.Unlock()
		if end.reached(f.mode, seen) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// last returns what the watcher last returned for the key or the range.
func (f *reader[T]) last() T {
	seen, _ := f.record()
	return lastOf(seen)
}

// lastOf returns the last outcome that says what the key or the range is. It returns the zero T if there is none.
func lastOf[T outcome](seen []T) (last T) {
	for i := len(seen) - 1; i >= 0; i-- {
		switch what, _ := seen[i].outcome(); what {
		case Value, Deleted, BadValue:
			return seen[i]
		}
	}
	return last
}

// endsInGap reports whether a GapError came after the last outcome that says what the key or the range is.
func endsInGap[T outcome](seen []T) bool {
	for _, t := range slices.Backward(seen) {
		switch what, _ := t.outcome(); what {
		case Value, Deleted, BadValue:
			return false
		case Gap:
			return true
		}
	}
	return false
}

// record returns the outcomes so far, and whether the watcher is still open.
func (f *reader[T]) record() (seen []T, open bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen, !f.closed
}

// close closes the watcher and waits until its reader has ended.
func (f *reader[T]) close() {
	f.stop()
	<-f.done
}
