package value

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// Watcher is one reader of a [Value]. It returns the current value, and then the value again each time it changes. Only one goroutine
// may read at a time. Any goroutine may close the Watcher.
type Watcher[T any] struct {
	v        *Value[T]
	notifier *notifier
	ticket   uint64                        // of the first read, asked for when the watcher was opened
	closing  atomic.Pointer[chan struct{}] // set by the first Close, which closes it when it is done

	getting atomic.Bool     // a Get is under way; what follows is its own
	started bool            // a first read was answered
	last    *update[T]      // the update last returned or passed over
	given   *update[T]      // the good value last returned
	faults  uint64          // how many of the state's faults are told
	limit   *stalenessLimit // where there is a limit to staleness
	every   *every[T]       // of an EveryUpdate watcher
}

// stalenessLimit is what a watcher needs for [WithMaxStaleness].
type stalenessLimit struct {
	opened  time.Time
	staleAt time.Time // when ErrStale was last told
}

// Get returns the next thing to know about the key.
//
// The first Get returns the value that a linearizable read finds which begins after the call. If the key is absent and there is no
// default, Get waits until the key exists. Each later Get waits for something newer than what the watcher returned before: the
// newest value, or with [EveryUpdate] the next one.
//
// The error is one of the following:
//
//   - It matches [ErrDeleted] if the key was deleted.
//   - It is a [*DecodeError] for a value that does not decode.
//   - It matches [kv.ErrPermission], or [ErrClosed] if the store was closed, once for each attempt to reach the store, after a read
//     has confirmed it.
//   - It matches [ErrStale] once every [WithMaxStaleness], while the value is too old.
//   - It is a [*GapError], only for an EveryUpdate watcher.
//   - It is the error of ctx, if ctx ends first. Nothing is lost: the next Get returns what this one would have returned.
//   - It matches [ErrClosed] after Close, and [ErrConcurrentGet] while another Get runs.
//
// After each of these the watcher works as before, except after Close. See [IsFinal]. An outage is not an error: Get waits for its
// end, and [Value.Status] and the log report it.
func (w *Watcher[T]) Get(ctx context.Context, opts ...GetOption[T]) (T, error) {
	return w.take(ctx, newGetConfig(opts), true)
}

// TryGet is a [Watcher.Get] that never waits. Where Get would wait, the error matches [ErrNothingNew]. That is also so until the store
// has answered the read that was made when the watcher was opened. While the value is older than [WithMaxStaleness] allows, each
// TryGet returns ErrStale. TryGet never asks the store, not even with [AtLeast]: it returns what that read or the watch has brought.
func (w *Watcher[T]) TryGet(opts ...GetOption[T]) (T, error) {
	return w.take(context.Background(), newGetConfig(opts), false)
}

// Updates yields what successive calls of [Watcher.Get] return, including errors. It ends when ctx ends, or the watcher or its store is
// closed. That error is the last pair it yields.
func (w *Watcher[T]) Updates(ctx context.Context, opts ...GetOption[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := w.Get(ctx, opts...)
			if !yield(v, err) || err != nil && isLast(ctx, err, w.v.misuse) {
				return
			}
		}
	}
}

// isLast reports whether err, of a Get, is one that each later Get would return at once.
func isLast(ctx context.Context, err, misuse error) bool {
	if _, bad := errors.AsType[*DecodeError](err); bad {
		return false // whatever the decoder's error matches
	}
	return err == ctx.Err() || misuse != nil || IsFinal(err) || errors.Is(err, ErrConcurrentGet)
}

// Revision returns the revision of what Get returned last: the revision of the put, or of the deletion, or a revision by which the
// deletion had happened. It is zero before the first Get has returned. Call it from the goroutine that calls Get.
func (w *Watcher[T]) Revision() kv.Revision {
	if w.last == nil {
		return 0
	}
	return w.last.Revision
}

// Close ends the watcher. A running Get returns [ErrClosed]. When the last watcher of a Value is closed, the Value's watch of the store
// ends, and Close waits for that. So do not call Close from a decoder or from a handler of the log. Close may be called more than
// once, and always returns nil.
func (w *Watcher[T]) Close() error {
	// No sync.Once: what waits for its mutex keeps a synctest bubble from going on, and there may be a decoder to wait for.
	done := make(chan struct{})
	if !w.closing.CompareAndSwap(nil, &done) {
		<-*w.closing.Load()
		return nil
	}
	defer close(done)
	w.notifier.notify()
	w.v.notifiers.leave(w.notifier)
	if w.every != nil {
		w.every.close()
	}
	if w.v.misuse == nil {
		w.v.close()
	}
	return nil
}

// take is a Get, or without wait a TryGet.
func (w *Watcher[T]) take(ctx context.Context, asked getConfig[T], wait bool) (T, error) {
	var zero T
	if w.v.misuse != nil {
		return zero, w.v.misuse
	}
	if !w.getting.CompareAndSwap(false, true) {
		return zero, fmt.Errorf("value: get %v: %w", w.v.subject.Range, ErrConcurrentGet)
	}
	defer w.getting.Store(false)
	u, err := w.get(ctx, asked, wait)
	if err != nil {
		return zero, err
	}
	return w.answer(u)
}

// answer is u as Get returns it.
func (w *Watcher[T]) answer(u *update[T]) (T, error) {
	if u.err == nil && !u.Present && !w.v.config.hasFallback {
		var zero T
		return zero, fmt.Errorf("value: %v: %w", w.v.subject.Range, ErrDeleted)
	}
	if u.err != nil {
		return u.value, u.err
	}
	v := w.v.face.since(u.value, w.given)
	w.given = u
	return v, nil
}

// get returns the next update that is asked for.
func (w *Watcher[T]) get(ctx context.Context, asked getConfig[T], wait bool) (*update[T], error) {
	ticket := w.ticket
	if w.last == nil {
		w.started = false // a Get that returned nothing was not the first
	}
	asksRead := wait && (!w.started || asked.atLeast > 0)
	if asksRead {
		ticket = w.v.fresh.Want(false)
	}
	var notified <-chan struct{}
	for {
		if w.closing.Load() != nil {
			return nil, w.errClosed()
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		// The order matters: what is confirmed is in the state that is loaded after it.
		confirmed := w.v.fresh.Confirmed.Load()
		s := w.v.state.Load()
		if s.newest != nil && confirmed.Ticket >= ticket {
			w.started, asksRead = true, false
		}
		stale, due := w.staleness(confirmed)
		switch {
		case stale && (due <= 0 || !wait):
			w.limit.staleAt = time.Now()
			return nil, w.errStale(confirmed)
		case stale, !w.started, asksRead, s.newest == nil:
			// What is known is too old to be told, or was known before the call.
		default:
			u, err := w.next(s, confirmed, &asked)
			if err != nil && w.closing.Load() != nil {
				return nil, w.errClosed() // the reading of history ended for it
			}
			if u != nil || err != nil {
				return u, err
			}
		}
		if s.faults > w.faults {
			w.faults = s.faults
			if s.fault != nil {
				return nil, s.fault
			}
		}
		if !wait {
			return nil, ErrNothingNew
		}
		if notified == nil {
			notified = w.notifier.wait() // which is not notified for what came before: look again
			continue
		}
		var history <-chan struct{}
		if w.every != nil && !stale && w.started && !asksRead { // or what was read would not be taken, and waiting for it would spin
			history = w.every.reading()
		}
		w.wait(ctx, notified, history, confirmed, asked.atLeast > 0, due)
		notified = nil
	}
}

// next returns the next update in what is known, or nil if there is none to be told.
func (w *Watcher[T]) next(s *state[T], confirmed *upstream.Confirmation, asked *getConfig[T]) (*update[T], error) {
	if w.every != nil {
		return w.every.next(s, confirmed, asked)
	}
	u := s.newest
	if !w.isNews(u) || !confirmed.Reaches(u.Revision, u.epoch, asked.atLeast) {
		return nil, nil
	}
	return w.tell(u, asked), nil
}

// isNews reports whether u is anything else than what the watcher was told last.
func (w *Watcher[T]) isNews(u *update[T]) bool {
	if w.last != nil {
		return u != w.last && !u.SameAs(&w.last.Position)
	}
	return u.Present || w.v.config.hasFallback
}

// tell counts u as told, and returns it unless it is a value that was not asked for.
func (w *Watcher[T]) tell(u *update[T], asked *getConfig[T]) *update[T] {
	w.last = u
	w.v.offerLatest(u)
	isValue := u.err == nil && (u.Present || w.v.config.hasFallback)
	if isValue && len(asked.keep) > 0 && !asked.wants(w.v.face.since(u.value, w.given)) {
		return nil
	}
	return u
}

// wait returns when there may be more to tell than before notified was asked for, and than confirmed, when history was read,
// when ctx or the watcher ended, and, if there is a limit to staleness, after due.
func (w *Watcher[T]) wait(ctx context.Context, notified, history <-chan struct{}, confirmed *upstream.Confirmation, asksRevision bool, due time.Duration) {
	var stale <-chan time.Time
	limited := w.limit != nil
	if limited {
		timer := time.NewTimer(due)
		defer timer.Stop()
		stale = timer.C
	}
	var confirm <-chan struct{}
	if !w.started || asksRevision || limited {
		confirm = confirmed.Next // to the others a read that shows nothing new is nothing to wake for
	}
	select {
	case <-notified:
	case <-confirm:
	case <-history:
	case <-stale:
	case <-ctx.Done():
	}
}

// staleness reports whether what is known is too old to be told, and in how long that is to be said.
func (w *Watcher[T]) staleness(confirmed *upstream.Confirmation) (stale bool, due time.Duration) {
	if w.limit == nil {
		return false, 0
	}
	limit := w.v.config.MaxStaleness
	known := confirmed.Began
	if known.Before(w.limit.opened) {
		known = w.limit.opened // no read can have been answered for this watcher before
	}
	if time.Since(known) < limit {
		return false, limit - time.Since(known)
	}
	said := known
	if said.Before(w.limit.staleAt) {
		said = w.limit.staleAt
	}
	return true, limit - time.Since(said)
}

func (w *Watcher[T]) errStale(confirmed *upstream.Confirmation) error {
	if opened := w.limit.opened; confirmed.Began.Before(opened) {
		return fmt.Errorf("value: get %v: %w: not since the watcher was opened, %v ago", w.v.subject.Range, ErrStale, time.Since(opened).Round(time.Millisecond))
	}
	return fmt.Errorf("value: get %v: %w: for %v", w.v.subject.Range, ErrStale, time.Since(confirmed.Began).Round(time.Millisecond))
}

func (w *Watcher[T]) errClosed() error {
	return fmt.Errorf("value: get %v: %w", w.v.subject.Range, ErrWatcherClosed)
}
