package value

import (
	"context"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Result is what one [Watcher.Get] returned.
type Result[T any] struct {
	Value    T
	Err      error
	Revision kv.Revision // behind the value, the deletion or the bad value
}

// Chan returns a channel of what the Gets of a watcher return, for programs that use select. A newer value replaces a value that was
// not received yet, except with [EveryUpdate]. The channel is closed when ctx ends, or after a final error such as [ErrClosed].
// Nothing is left running then. There is no other way to end it.
func (v *Value[T]) Chan(ctx context.Context, opts ...WatchOption) <-chan Result[T] {
	out := make(chan Result[T])
	w := v.Watch(opts...)
	go func() {
		defer close(out)
		defer w.Close()
		for w.send(ctx, out) {
		}
	}()
	return out
}

// send gets one result and hands it, or the newest there is when it is taken, to out. It reports whether there
// may be more.
func (w *Watcher[T]) send(ctx context.Context, out chan<- Result[T]) bool {
	before, given := w.last, w.given
	r := w.result(w.Get(ctx))
	for ctx.Err() == nil {
		changed, tooOld := w.notifier.wait(), (<-chan time.Time)(nil) // before what is looked at, as in get
		confirmed := w.v.fresh.Confirmed.Load()
		s := w.v.state.Load()
		stale, due := w.staleness(confirmed)
		switch {
		case stale && w.last != before: // an error that tells of no update does not grow old
			w.takeBack(before)
			w.given = given
			w.limit.staleAt = time.Now()
			r = Result[T]{Err: w.errStale(confirmed)}
		case w.every != nil:
			changed = nil // each is told
		case !stale && w.started && w.isNews(s.newest):
			w.given = given
			if w.last = before; !w.isNews(s.newest) {
				return true // what was not taken is undone, and there is nothing to tell
			}
			r = w.result(w.answer(w.tell(s.newest, &getConfig[T]{})))
		}
		if w.limit != nil && !stale {
			tooOld = time.After(due)
		}
		select {
		case out <- r:
			return r.Err == nil || !isLast(ctx, r.Err, w.v.misuse)
		case <-changed:
		case <-confirmed.Next:
		case <-tooOld:
		case <-ctx.Done():
		}
	}
	return false
}

func (w *Watcher[T]) result(v T, err error) Result[T] {
	return Result[T]{Value: v, Err: err, Revision: w.Revision()}
}

// takeBack undoes what was returned to the channel since the watcher returned before: no reader received it.
func (w *Watcher[T]) takeBack(before *update[T]) {
	if w.every != nil && w.last != before {
		w.every.held = w.last
	}
	w.last = before
}
