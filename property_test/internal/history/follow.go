package history

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// A Watch is what a watcher of a range received. It stopped now and then, and resumed.
type Watch struct {
	Name     string
	Range    kv.Range
	Segments []Segment
}

// A Segment is one uninterrupted piece of a watch.
type Segment struct {
	After   kv.Revision
	Batches []kv.Batch
	Err     error // that it ended with; nil where the watcher stopped
}

// Events is the number of events that w received.
func (w Watch) Events() int {
	n := 0
	for _, s := range w.Segments {
		for _, b := range s.Batches {
			n += len(b.Events)
		}
	}
	return n
}

// retry is how long a watch that has failed is left alone. A store without a leader refuses at once.
const retry = 20 * time.Millisecond

// A Follower watches a range and notes what it is returned. It stops by itself now and then, and goes on, as it does when
// the store ends its watch, from the last batch it had.
type Follower struct {
	store  kv.Store
	every  int // batches, after which it stops and goes on
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	watch    Watch
	revision kv.Revision   // of the last batch
	news     chan struct{} // closed and replaced when revision rises
}

// Follow watches keys in a goroutine until it is stopped.
func Follow(store kv.Store, name string, keys kv.Range, after kv.Revision, every int) *Follower {
	ctx, cancel := context.WithCancel(context.Background())
	f := &Follower{
		store:    store,
		every:    every,
		cancel:   cancel,
		done:     make(chan struct{}),
		watch:    Watch{Name: name, Range: keys},
		revision: after,
		news:     make(chan struct{}),
	}
	go f.run(ctx)
	return f
}

// Wait waits until f has received everything up to a revision.
func (f *Follower) Wait(ctx context.Context, rev kv.Revision) error {
	for {
		f.mu.Lock()
		at, news := f.revision, f.news
		f.mu.Unlock()
		if at >= rev {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("%s has come to %d, not to %d: %w", f.watch.Name, at, rev, ctx.Err())
		}
	}
}

// Stop ends the watch and returns what it was returned.
func (f *Follower) Stop() Watch {
	f.cancel()
	<-f.done
	return f.watch
}

func (f *Follower) run(ctx context.Context) {
	defer close(f.done)
	for ctx.Err() == nil {
		if err := f.segment(ctx); err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// segment watches until the store or f itself ends that.
func (f *Follower) segment(ctx context.Context) error {
	s := Segment{After: f.revision}
	for batch, err := range f.store.Watch(ctx, f.watch.Range, s.After) {
		if err != nil {
			s.Err = err
			break
		}
		s.Batches = append(s.Batches, batch)
		f.mu.Lock()
		f.revision = batch.Revision
		close(f.news)
		f.news = make(chan struct{})
		f.mu.Unlock()
		if len(s.Batches) == f.every {
			break
		}
	}
	f.watch.Segments = append(f.watch.Segments, s)
	return s.Err
}
