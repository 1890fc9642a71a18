package value

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// reader finds what the Gets of a [Watcher] return, and keeps what they have returned.
type reader[T any] struct {
	state    *state[T]
	notifier *notifier
	ticket   uint64                        // of the first read, asked for when the watcher was opened
	closing  atomic.Pointer[chan struct{}] // set by the first Close, which closes it when it is done

	getting  atomic.Bool // a Get is under way; what follows is its own
	started  bool        // a first read was answered
	absence  bool        // that the key is absent is an answer of the first Get
	last     *update[T]  // the update last returned or passed over
	returned *update[T]  // the update last returned
	given    *update[T]  // the good value last returned; nil after a deletion
	before   *update[T]  // given as it was before the last update was returned, if that is kept
	faults   uint64      // how many of the published faults were returned
	extra    *special[T] // nil if it would be empty, for there may be many watchers
}

// special is what only some watchers have. It does not change, for Close may read it while a Get is under way.
type special[T any] struct {
	misuse   error           // why every Get fails; nil if all arguments are right
	limit    *stalenessLimit // where there is a limit to staleness
	quiet    *quiet[T]       // where a burst is waited out
	every    *everyUpdate[T] // of an EveryUpdate watcher
	previous bool            // before is kept
}

func (r *reader[T]) init(s *state[T], c watchConfig) {
	r.state, r.notifier = s, s.notifiers.join()
	r.absence, r.faults = c.absence, s.published.Load().faults
	if x := newSpecial(s, c); x != (special[T]{}) {
		r.extra = &x
	}
}

func (r *reader[T]) special() special[T] {
	if r.extra == nil {
		return special[T]{}
	}
	return *r.extra
}

func newSpecial[T any](s *state[T], c watchConfig) special[T] {
	x := special[T]{misuse: s.misuse, previous: c.previous}
	if x.misuse == nil && c.after != nil {
		x.misuse = wrongAfter(*c.after, s.subject)
	}
	if most := s.config.MaxStaleness; most > 0 {
		x.limit = &stalenessLimit{most: most}
	}
	switch {
	case c.every:
		x.every = newEveryUpdate(s, c.after)
	case c.quiet > 0:
		x.quiet = &quiet[T]{quiet: c.quiet, most: c.most}
		s.timed.Store(true)
	}
	return x
}

// opened takes the ticket of the first read, when the watcher counts as open: its Value is stale no later than it is.
func (r *reader[T]) opened(ticket uint64) {
	r.ticket = ticket
	if limit := r.special().limit; limit != nil {
		limit.opened = time.Now()
	}
}

// close ends what the reader has running. A Get that waits returns.
func (r *reader[T]) close() {
	r.notifier.notify()
	r.state.notifiers.leave(r.notifier)
	if e := r.special().every; e != nil {
		e.close()
	}
}

// revision is that of what was returned last.
func (r *reader[T]) revision() kv.Revision {
	if r.returned == nil {
		return 0
	}
	return r.returned.Revision
}

// condition holds while the key is as it was returned last.
func (r *reader[T]) condition() kv.Condition {
	const never = -1
	if _, isKey := r.state.subject.Key(); !isKey || r.returned == nil {
		return kv.IfRevision(never)
	}
	return kv.IfRevision(r.returned.Entry.ModRevision)
}

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

// outcome is the result of a request. It counts as returned when the reader has committed it.
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
func (r *reader[T]) get(ctx context.Context, asked getConfig[T], wait bool) (v T, err error) {
	if err := r.special().misuse; err != nil {
		return v, err
	}
	if !r.getting.CompareAndSwap(false, true) {
		return v, fmt.Errorf("value: get %v: %w", r.state.subject.Range, ErrConcurrentGet)
	}
	defer r.getting.Store(false)

	q := r.request(asked, wait)
	for {
		o, due := r.look(ctx, &q)
		if o.kind != noOutcome {
			v, err = r.answer(&o)
			r.commit(&o)
			return v, err
		}
		if !wait {
			return v, ErrNothingNew
		}
		r.await(ctx, &q, due, nil, nil)
	}
}

// request begins one.
func (r *reader[T]) request(asked getConfig[T], wait bool) request[T] {
	q := request[T]{asked: asked, ticket: r.ticket, wait: wait}
	if r.last == nil {
		r.started = false // a Get that returned nothing was not the first
	}
	if q.asksRead = wait && (!r.started || asked.atLeast > 0); q.asksRead {
		q.ticket = r.state.fresh.Want(false)
	}
	return q
}

// look returns the outcome of q as of now, and in how long to look again if nothing happens. It returns the same outcome until that is
// committed or something else happens.
func (r *reader[T]) look(ctx context.Context, q *request[T]) (o outcome[T], due time.Duration) {
	if r.closing.Load() != nil {
		return outcome[T]{err: r.errClosed(), kind: isOver}, 0
	}
	if err := ctx.Err(); err != nil {
		return outcome[T]{err: err, kind: isOver}, 0
	}
	// The order matters: what is confirmed is in the state that is loaded after it.
	confirmed := r.state.fresh.Confirmed.Load()
	now := r.state.published.Load()
	if now.newest != nil && confirmed.Ticket >= q.ticket {
		r.started, q.asksRead = true, false
	}
	stale, due := r.special().limit.check(confirmed)
	q.confirmed, q.stale = confirmed, stale
	if u := r.lastKnown(now, q); u != nil && !stale {
		return outcome[T]{update: u, kind: anUpdate}, due
	}
	switch {
	case stale && (due <= 0 || !q.wait):
		return outcome[T]{err: r.special().limit.err(r.state.subject.Range, confirmed), kind: isStale}, 0
	case stale, !r.started, q.asksRead, now.newest == nil:
		// What is known is too old to be returned, or was known before the call.
	case r.special().every != nil:
		u, err := r.nextOfEvery(now, q)
		switch {
		case err != nil && r.closing.Load() != nil:
			return outcome[T]{err: r.errClosed(), kind: isOver}, 0 // the reading of history ended for it
		case err != nil:
			return outcome[T]{err: err, kind: anEveryError}, due
		case u != nil:
			return outcome[T]{update: u, kind: anUpdate}, due
		}
	default:
		u := r.newest(now, q)
		if burst := r.special().quiet; burst != nil {
			u, due = burst.settle(u, now.changed, r.last == nil, due)
		}
		if u != nil {
			return outcome[T]{update: u, kind: anUpdate}, due
		}
	}
	if now.faults > r.faults && now.fault != nil {
		return outcome[T]{err: now.fault, kind: aFault, faults: now.faults}, due
	}
	r.faults = now.faults // those were healed
	return o, due
}

// lastKnown returns what was last known, if it stands in for what the watcher would return first.
func (r *reader[T]) lastKnown(now *published[T], q *request[T]) *update[T] {
	u := now.instead
	switch {
	case u == nil, r.last != nil, r.special().every != nil, q.asked.atLeast > 0:
		return nil
	case u.kept.run != r.state.run.Load(): // the upstream of other watchers had no answer
		return nil
	case u.isTooOld(r.state.config.MaxStaleness), !r.isNews(u), !r.wants(u, &q.asked):
		return nil
	}
	return u
}

// newest returns the newest update if it is news and was asked for.
func (r *reader[T]) newest(now *published[T], q *request[T]) *update[T] {
	u := now.newest
	if !r.isNews(u) || !q.reaches(u) || !r.wants(u, &q.asked) {
		return nil
	}
	return u
}

// reaches reports whether u, the newest update, is at the revision asked for or later.
func (q *request[T]) reaches(u *update[T]) bool {
	if q.wait {
		return q.confirmed.Reaches(u.Revision, u.epoch, q.asked.atLeast)
	}
	return q.confirmed.UpTo(u.Revision, u.epoch) >= q.asked.atLeast // no read has shown which history the revision is of
}

// nextOfEvery returns the next of every update that is news and was asked for, an error that comes before it, or neither. It returns the
// same until that is committed.
func (r *reader[T]) nextOfEvery(now *published[T], q *request[T]) (*update[T], error) {
	e := r.special().every
	for e.err == nil {
		if u := e.held; u != nil && (u.Revision >= q.asked.atLeast || q.reaches(u) && u.SameAs(&now.newest.Position)) {
			e.held = nil // also if what is asked panics
			if r.wants(u, &q.asked) {
				e.held = u
				return u, nil
			}
			continue
		}
		u, err := e.next(now, q.confirmed)
		if u == nil && err == nil {
			return nil, nil
		}
		if e.held != nil { // it is before what was asked for
			r.last, e.held = e.held, nil
		}
		if u != nil && r.isNews(u) {
			e.held = u
		}
		e.err = err
	}
	return nil, e.err
}

// isNews reports whether u is anything else than what the watcher returned last.
func (r *reader[T]) isNews(u *update[T]) bool {
	if r.last != nil {
		return u != r.last && !u.SameAs(&r.last.Position)
	}
	return r.state.exists(u) || r.absence || r.special().every.continues()
}

// wants reports whether the Get should return u. If u is a value that the Get did not ask for, it counts as passed over.
func (r *reader[T]) wants(u *update[T], asked *getConfig[T]) bool {
	r.state.offerLatest(u)
	if !r.state.isValue(u) || len(asked.keep) == 0 && asked.equal == nil {
		return true
	}
	last := r.last
	r.last = u // also if what is asked panics
	v, _ := r.state.face.since(u, r.given)
	if asked.equal != nil && r.given != nil && last != nil && r.state.isValue(last) && asked.equal(r.given.value, v) {
		return false
	}
	if !asked.wants(v) {
		return false
	}
	r.last = last
	return true
}

// answer is an outcome as Get returns it.
func (r *reader[T]) answer(o *outcome[T]) (v T, err error) {
	u := o.update
	switch {
	case o.kind != anUpdate:
		return v, o.err
	case u.err != nil:
		return u.value, u.err
	case r.state.exists(u):
		v, o.given = r.state.face.since(u, r.given)
		return v, nil
	case r.last == nil && !r.special().every.continues():
		return v, fmt.Errorf("value: get %v: %w", r.state.subject.Range, kv.ErrNotFound)
	}
	return v, fmt.Errorf("value: %v: %w", r.state.subject.Range, ErrDeleted)
}

// commit counts an outcome as returned.
func (r *reader[T]) commit(o *outcome[T]) {
	x := r.special()
	switch o.kind {
	case anUpdate:
		u := o.update
		if r.last, r.returned = u, u; x.previous {
			r.before = r.given
		}
		switch {
		case u.err != nil:
		case r.state.exists(u):
			r.given = o.given
		default:
			r.given = nil
		}
		if x.every != nil {
			x.every.held = nil
		}
		if x.quiet != nil {
			x.quiet.over()
		}
	case anEveryError:
		x.every.err = nil
	case aFault:
		r.faults = o.faults
	case isStale:
		x.limit.staleAt = time.Now()
	}
}

func (r *reader[T]) errClosed() error {
	return fmt.Errorf("value: get %v: %w", r.state.subject.Range, ErrWatcherClosed)
}
