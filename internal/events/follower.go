package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// ErrEnded is the error of a Follower whose only watch has ended.
var ErrEnded = errors.New("the watch has ended")

// Segment is what one watch has yielded, from its beginning to its end.
type Segment struct {
	After   kv.Revision
	Batches []kv.Batch
	Err     error // the last error of the watch; nil if the watch or its reader stopped without one
}

// Events returns the events of all batches.
func (s Segment) Events() List {
	var l List
	for _, b := range s.Batches {
		l = append(l, b.Events...)
	}
	return l
}

// retry is the time between the failure of a watch and the next watch. A store without a leader refuses watches at once.
const retry = 20 * time.Millisecond

// Follower watches a range in a goroutine, and records what the watch yields. It may be used concurrently.
type Follower struct {
	store  kv.Store
	keys   kv.Range
	every  int  // after so many batches it begins another watch; never if zero
	once   bool // it begins no other watch
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has returned

	mu       sync.Mutex
	segments []Segment
	complete kv.Revision   // the highest revision of a batch
	news     chan struct{} // closed, and replaced, with each batch
}

// Follow watches keys until the Follower is stopped. When a watch has ended, it begins another one after the last batch. If every is not
// zero, it also does that after every so many batches.
func Follow(ctx context.Context, store kv.Store, keys kv.Range, after kv.Revision, every int) *Follower {
	return follow(ctx, store, keys, after, every, false)
}

// FollowOnce watches keys until that one watch ends, or the Follower is stopped.
func FollowOnce(ctx context.Context, store kv.Store, keys kv.Range, after kv.Revision) *Follower {
	return follow(ctx, store, keys, after, 0, true)
}

func follow(ctx context.Context, store kv.Store, keys kv.Range, after kv.Revision, every int, once bool) *Follower {
	ctx, cancel := context.WithCancel(ctx)
	f := &Follower{
		store: store, keys: keys, every: every, once: once,
		cancel: cancel, done: make(chan struct{}), news: make(chan struct{}),
	}
	go f.run(ctx, after)
	return f
}

// Await waits until the watch is complete up to a revision. It returns [ErrEnded] if the watch has ended before.
func (f *Follower) Await(ctx context.Context, rev kv.Revision) error {
	for {
		f.mu.Lock()
		complete, news := f.complete, f.news
		f.mu.Unlock()
		if complete >= rev {
			return nil
		}
		select {
		case <-news:
		case <-f.done:
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.complete >= rev {
				return nil
			}
			return ErrEnded
		case <-ctx.Done():
			return fmt.Errorf("the watch is complete up to %d, not up to %d: %w", complete, rev, ctx.Err())
		}
	}
}

// Stop ends the watch, waits until it has ended, and returns all that it has yielded. It may be called again.
func (f *Follower) Stop() []Segment {
	f.cancel()
	<-f.done
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.segments)
}

func (f *Follower) run(ctx context.Context, after kv.Revision) {
	defer close(f.done)
	for {
		s := f.watch(ctx, after)
		if f.once || ctx.Err() != nil {
			return
		}
		if n := len(s.Batches); n > 0 {
			after = s.Batches[n-1].Revision
		}
		if s.Err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
	}
}

// watch runs one watch, until the store ends it or it has yielded enough batches.
func (f *Follower) watch(ctx context.Context, after kv.Revision) Segment {
	s := Segment{After: after}
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.segments = append(f.segments, s)
	}()
	for batch, err := range f.store.Watch(ctx, f.keys, after) {
		if err != nil {
			s.Err = err
			break
		}
		s.Batches = append(s.Batches, batch)
		f.took(batch)
		if len(s.Batches) == f.every {
			break
		}
	}
	return s
}

func (f *Follower) took(b kv.Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.complete = max(f.complete, b.Revision)
	close(f.news)
	f.news = make(chan struct{})
}
