package value

import (
	"context"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// request is one Get, or what a channel waits for.
type request[T any] struct {
	asked    getConfig[T]
	ticket   uint64 // of the read that has to be answered first
	asksRead bool   // what is known before that read is answered is not returned
	wait     bool

	// Of the last look.
	notified  <-chan struct{} // closed when the state has changed since; nil if that was not asked for before it
	confirmed *upstream.Confirmation
	stale     bool
}

// outcome is what a request comes to. It counts as returned when the watcher has committed it.
type outcome[T any] struct {
	kind   outcomeKind
	update *update[T]
	given  *update[T] // what is returned, once the answer is made, if it is a value
	err    error
	faults uint64 // of the state, with aFault
}

type outcomeKind uint8

const (
	noOutcome    outcomeKind = iota
	anUpdate                 // update
	anEveryError             // err, before the update that the every watcher holds
	aFault                   // err, of the state
	isStale                  // err
	isOver                   // err, of the context or a closed watcher
)

// get is one Get: look, and wait until there is something to return.
func (w *Watcher[T]) get(ctx context.Context, asked getConfig[T], wait bool) (v T, err error) {
	if w.v.misuse != nil {
		return v, w.v.misuse
	}
	if !w.getting.CompareAndSwap(false, true) {
		return v, fmt.Errorf("value: get %v: %w", w.v.subject.Range, ErrConcurrentGet)
	}
	defer w.getting.Store(false)

	r := w.request(asked, wait)
	for {
		o, due := w.look(ctx, &r)
		if o.kind != noOutcome {
			v, err = w.answer(&o)
			w.commit(&o)
			return v, err
		}
		if !wait {
			return v, ErrNothingNew
		}
		w.await(ctx, &r, due, nil, nil)
	}
}

// request begins one.
func (w *Watcher[T]) request(asked getConfig[T], wait bool) request[T] {
	r := request[T]{asked: asked, ticket: w.ticket, wait: wait}
	if w.last == nil {
		w.started = false // a Get that returned nothing was not the first
	}
	if r.asksRead = wait && (!w.started || asked.atLeast > 0); r.asksRead {
		r.ticket = w.v.fresh.Want(false)
	}
	return r
}

// look returns what r comes to by now, and by when to look again if nothing happens. It returns the same until that is committed or
// something else has happened.
func (w *Watcher[T]) look(ctx context.Context, r *request[T]) (o outcome[T], due time.Duration) {
	if w.closing.Load() != nil {
		return outcome[T]{err: w.errClosed(), kind: isOver}, 0
	}
	if err := ctx.Err(); err != nil {
		return outcome[T]{err: err, kind: isOver}, 0
	}
	// The order matters: what is confirmed is in the state that is loaded after it.
	confirmed := w.v.fresh.Confirmed.Load()
	s := w.v.state.Load()
	if s.newest != nil && confirmed.Ticket >= r.ticket {
		w.started, r.asksRead = true, false
	}
	stale, due := w.staleness(confirmed)
	r.confirmed, r.stale = confirmed, stale
	switch {
	case stale && (due <= 0 || !r.wait):
		return outcome[T]{err: w.errStale(confirmed), kind: isStale}, 0
	case stale, !w.started, r.asksRead, s.newest == nil:
		// What is known is too old to be returned, or was known before the call.
	case w.every != nil:
		u, err := w.every.next(s, confirmed, &r.asked)
		switch {
		case err != nil && w.closing.Load() != nil:
			return outcome[T]{err: w.errClosed(), kind: isOver}, 0 // the reading of history ended for it
		case err != nil:
			return outcome[T]{err: err, kind: anEveryError}, due
		case u != nil:
			return outcome[T]{update: u, kind: anUpdate}, due
		}
	default:
		u := w.newest(s, confirmed, &r.asked)
		if w.quiet != nil {
			u, due = w.quiet.settle(u, s.changed, w.last == nil, due)
		}
		if u != nil {
			return outcome[T]{update: u, kind: anUpdate}, due
		}
	}
	if s.faults > w.faults && s.fault != nil {
		return outcome[T]{err: s.fault, kind: aFault, faults: s.faults}, due
	}
	w.faults = s.faults // those were healed
	return o, due
}

// newest returns the newest update if it is news and was asked for.
func (w *Watcher[T]) newest(s *state[T], confirmed *upstream.Confirmation, asked *getConfig[T]) *update[T] {
	u := s.newest
	if !w.isNews(u) || !confirmed.Reaches(u.Revision, u.epoch, asked.atLeast) || !w.wants(u, asked) {
		return nil
	}
	return u
}

// isNews reports whether u is anything else than what the watcher returned last.
func (w *Watcher[T]) isNews(u *update[T]) bool {
	if w.last != nil {
		return u != w.last && !u.SameAs(&w.last.Position)
	}
	return u.Present || w.v.config.hasFallback || w.absence
}

// wants reports whether u is to be returned. If it is a value that was not asked for, it is passed over.
func (w *Watcher[T]) wants(u *update[T], asked *getConfig[T]) bool {
	w.v.offerLatest(u)
	isValue := u.err == nil && (u.Present || w.v.config.hasFallback)
	if !isValue || len(asked.keep) == 0 && asked.equal == nil {
		return true
	}
	last := w.last
	w.last = u // also if what is asked panics
	if asked.equal != nil && w.given != nil && last != nil && last.err == nil && asked.equal(w.given.value, u.value) {
		return false
	}
	if v, _ := w.v.face.since(u, w.given); !asked.wants(v) {
		return false
	}
	w.last = last
	return true
}

// answer is an outcome as Get returns it.
func (w *Watcher[T]) answer(o *outcome[T]) (v T, err error) {
	u := o.update
	switch {
	case o.kind != anUpdate:
		return v, o.err
	case u.err != nil:
		return u.value, u.err
	case u.Present || w.v.config.hasFallback:
		v, o.given = w.v.face.since(u, w.given)
		return v, nil
	case w.last == nil:
		return v, fmt.Errorf("value: get %v: %w", w.v.subject.Range, kv.ErrNotFound)
	}
	return v, fmt.Errorf("value: %v: %w", w.v.subject.Range, ErrDeleted)
}

// commit counts an outcome as returned.
func (w *Watcher[T]) commit(o *outcome[T]) {
	switch o.kind {
	case anUpdate:
		u := o.update
		if w.last = u; w.previous {
			w.before = w.given
		}
		switch {
		case u.err != nil:
		case u.Present || w.v.config.hasFallback:
			w.given = o.given
		default:
			w.given = nil
		}
		if w.every != nil {
			w.every.held = nil
		}
		if w.quiet != nil {
			w.quiet.over()
		}
	case anEveryError:
		w.every.err = nil
	case aFault:
		w.faults = o.faults
	case isStale:
		w.limit.staleAt = time.Now()
	}
}

// await returns when look may come to something else, or when offer, if there is one, was sent to out, which it reports. The first time it
// returns at once: it has asked to be notified, and nothing reports what came before that.
func (w *Watcher[T]) await(ctx context.Context, r *request[T], due time.Duration, out chan<- Result[T], offer *Result[T]) (sent bool) {
	if r.notified == nil {
		r.notified = w.notifier.wait()
		return false
	}
	notified := r.notified
	r.notified = nil
	var late <-chan time.Time
	if due > 0 {
		timer := time.NewTimer(due)
		defer timer.Stop()
		late = timer.C
	}
	var confirm, history <-chan struct{}
	if !w.started || r.asked.atLeast > 0 || w.limit != nil {
		confirm = r.confirmed.Next // to the others a read that shows nothing new is nothing to wake for
	}
	if w.every != nil && offer == nil && !r.stale && w.started && !r.asksRead { // or what was read would not be taken, and this would spin
		history = w.every.reading()
	}
	if offer != nil {
		select {
		case out <- *offer:
			return true
		case <-notified:
		case <-confirm:
		case <-late:
		case <-ctx.Done():
		}
		return false
	}
	select {
	case <-notified:
	case <-confirm:
	case <-history:
	case <-late:
	case <-ctx.Done():
	}
	return false
}

// staleness reports whether what is known is too old to be returned, and in how long that is to be said.
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
