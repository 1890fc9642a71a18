package program

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// follower reads a watch to its end, all the time. It has a goroutine, which stop ends.
//
// How a store makes batches of revisions is its own affair. So what is kept is events; that the batches kept to the
// contract is looked at as they come.
type follower struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has returned
	news   chan struct{} // holds a token after something has come

	// relative is how revisions are written.
	relative func(kv.Revision) string

	mu       sync.Mutex
	events   []kv.Event
	complete kv.Revision // up to where the watch has said it is complete
	broken   []string    // what was wrong with the batches
	end      error
}

var errNoEnd = errors.New("it ended without an error")

func (r *run) follow(keys kv.Range, after kv.Revision) *follower {
	ctx, cancel := context.WithCancel(r.ctx)
	f := &follower{
		cancel:   cancel,
		done:     make(chan struct{}),
		news:     make(chan struct{}, 1),
		relative: r.relative,
		end:      errNoEnd,
	}
	go func() {
		defer close(f.done)
		for batch, err := range r.store.Watch(ctx, keys, after) {
			f.take(batch, err)
		}
	}()
	return f
}

func (f *follower) take(batch kv.Batch, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case f.news <- struct{}{}:
	default:
	}
	if err != nil {
		f.end = err
		return
	}
	last := f.complete
	for i, event := range batch.Events {
		if event.ModRevision < last || i == 0 && event.ModRevision == last {
			f.complain("W2, W3, W5 or W7: %v of %q at %s came after a batch up to %s",
				event.Type, event.Key, f.relative(event.ModRevision), f.relative(last))
		}
		last = event.ModRevision
	}
	if batch.Revision < last || !batch.IsBookmark() && batch.Revision > last {
		f.complain("W7: a batch of %d events is up to %s, its last event or the batch before it up to %s",
			len(batch.Events), f.relative(batch.Revision), f.relative(last))
	}
	f.events = append(f.events, batch.Events...)
	f.complete = max(f.complete, batch.Revision)
}

func (f *follower) complain(format string, args ...any) {
	f.broken = append(f.broken, fmt.Sprintf(format, args...))
}

// await waits until the watch is complete up to revision, or has ended.
func (f *follower) await(ctx context.Context, revision kv.Revision) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !f.isComplete(revision) {
		select {
		case <-f.news:
		case <-f.done:
			return
		case <-ctx.Done():
			f.mu.Lock()
			f.complain("what was due did not come in time")
			f.mu.Unlock()
			return
		}
	}
}

func (f *follower) isComplete(revision kv.Revision) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.complete >= revision
}

// stop ends the watch, if it has not ended by itself, and waits for it. What it has brought may be read then.
func (f *follower) stop() {
	f.cancel()
	<-f.done
}
