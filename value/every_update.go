package value

import (
	"errors"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// everyUpdate gives an EveryUpdate watcher its updates in order. It begins with the newest state, goes on with the backlog, and reads the
// store's own history where the backlog does not go back far enough.
type everyUpdate[T any] struct {
	state   *state[T]
	cursor  cursor // in the backlog
	history historyReader[T]

	// Of the Get under way.
	begun  bool
	after  *kv.Revision      // of EveryUpdateAfter; nil to begin with the newest state
	readTo kv.Revision       // everything after at and up to here has to be read from the store's history
	epoch  uint64            // the history that at is of
	at     upstream.Position // what the key was when next returned it last; everything up to here was returned
	queue  stretch[T]        // comes next
	beyond *update[T]        // of the backlog, and comes when the store's history before it has been read

	// What the watcher has taken from next and has not returned yet.
	held *update[T]
	err  error // to be returned before held
}

// stretch is a part of the history: its updates in order, and the position up to which nothing else follows them.
type stretch[T any] struct {
	updates []*update[T]
	upTo    upstream.Position
}

func newEveryUpdate[T any](s *state[T], after *kv.Revision) *everyUpdate[T] {
	e := &everyUpdate[T]{state: s, after: after}
	e.history.init(s)
	s.backlog.join(&e.cursor)
	return e
}

// close ends the reading of history, and waits for that.
func (e *everyUpdate[T]) close() {
	e.history.close()
	e.state.backlog.leave(&e.cursor)
}

// next returns the next update, or an error that comes before it. Both are nil if there is none yet.
func (e *everyUpdate[T]) next(now *published[T], confirmed *upstream.Confirmation) (*update[T], error) {
	switch {
	case !e.begun:
		e.begun = true
		if err := e.begin(now, confirmed); err != nil {
			return nil, err
		}
	case e.epoch != now.newest.epoch:
		if err := e.startOver(now, confirmed, kv.ErrReset); err != nil {
			return nil, err
		}
	}
	if err := e.takeHistory(now, confirmed); err != nil {
		return nil, err
	}
	if u := e.dequeue(); u != nil {
		return u, nil
	}
	if e.history.isReading() {
		return nil, nil
	}
	return e.nextOfBacklog()
}

// takeHistory has what a reading of history has brought come next, if one is done. The error of a reading that has brought something is
// left to the next reading.
func (e *everyUpdate[T]) takeHistory(now *published[T], confirmed *upstream.Confirmation) error {
	r := e.history.take()
	switch {
	case r == nil:
	case r.err == nil || len(r.updates) > 0:
		e.enqueue(stretch[T]{r.updates, r.at})
	case isGap(r.err) || errors.Is(r.err, ErrLostEvent):
		return e.startOver(now, confirmed, r.err)
	default:
		return r.err
	}
	return nil
}

// nextOfBacklog is next where the backlog has it, or says what to do before.
func (e *everyUpdate[T]) nextOfBacklog() (*update[T], error) {
	u, readTo := e.fromBacklog()
	switch {
	case readTo > 0:
		e.history.read(e.at, readTo, e.epoch)
	case u == nil:
	case u.gap == nil || e.at.NothingBetween(u.Position):
		e.at = u.Position
		return u, nil
	default:
		// The watch that was lost may have been behind this watcher: the store may have what this one is to return.
		e.beyond = u
		e.history.read(e.at, u.Revision, e.epoch)
	}
	return nil, nil
}

// fromBacklog returns what the backlog has next, as [backlog.next] does. An update that waits for a reading of history comes
// again until the reading has come up to it: a reading may bring only a part, and may fail. If it is of the revision that the reading has
// reached, it is taken too: the reading of a range may have lost an event of that revision.
func (e *everyUpdate[T]) fromBacklog() (u *update[T], readTo kv.Revision) {
	if u, e.beyond = e.beyond, nil; u != nil && u.epoch == e.epoch && (u.Revision > e.at.Revision || u.Revision == e.at.Revision && !u.SameAs(&e.at)) {
		return u, 0
	}
	if e.at.Revision < e.readTo {
		return nil, e.readTo
	}
	return e.state.backlog.next(&e.cursor, e.at.Revision, e.epoch)
}

// enqueue makes s what comes next.
func (e *everyUpdate[T]) enqueue(s stretch[T]) {
	e.queue = s
	if len(s.updates) == 0 {
		e.at = s.upTo
	}
}

// dequeue returns the next update of the queue; nil if there is none.
func (e *everyUpdate[T]) dequeue() *update[T] {
	if len(e.queue.updates) == 0 {
		return nil
	}
	u := e.queue.updates[0]
	e.queue.updates[0] = nil
	e.queue.updates = e.queue.updates[1:]
	e.at = u.Position
	if len(e.queue.updates) == 0 {
		e.at, e.queue = e.queue.upTo, stretch[T]{}
	}
	return u
}

// goOnFrom has u come next, and then what follows the position upTo.
func (e *everyUpdate[T]) goOnFrom(u *update[T], upTo upstream.Position) {
	e.history.drop()
	e.epoch, e.readTo = u.epoch, 0
	e.enqueue(stretch[T]{[]*update[T]{u}, upTo})
}

// startOver goes on from the newest state of now. It returns a *GapError if updates before that may be lost.
func (e *everyUpdate[T]) startOver(now *published[T], confirmed *upstream.Confirmation, why error) error {
	u, upTo := e.newest(now, confirmed)
	var err error
	if e.misses(u, why) {
		err = e.gap(u.Revision, why)
	}
	e.goOnFrom(u, upTo)
	return err
}

// misses reports whether a watcher that goes on from u because of an error may miss an update.
func (e *everyUpdate[T]) misses(u *update[T], why error) bool {
	switch {
	case len(e.queue.updates) == 1 && u.Present && e.queue.updates[0].SameAs(&u.Position):
		return false // it is what comes next in any case
	case errors.Is(why, kv.ErrReset):
		// Revisions and versions of two histories do not compare: only what is the very same is no loss.
		return !e.at.Present || !e.at.SameAs(&u.Position)
	}
	return !e.at.NothingBetween(u.Position)
}

// newest returns the newest update, and the position up to which nothing follows it. An absence, or the contents of a range, that were read
// again are returned as of then: keys may have come and gone since they were read first.
func (e *everyUpdate[T]) newest(now *published[T], confirmed *upstream.Confirmation) (u *update[T], upTo upstream.Position) {
	u, upTo = now.newest, now.newest.Position
	upTo.Revision = confirmed.UpTo(u.Revision, u.epoch)
	if (!u.Present || u.Contents != nil) && upTo.Revision > u.Revision {
		again := *u
		again.Position = upTo
		again.value = e.state.face.asOf(u, upTo.Revision)
		u = &again
	}
	return u, upTo
}

func (e *everyUpdate[T]) gap(to kv.Revision, why error) error {
	return &GapError{Key: e.state.key(), Range: e.state.subject.Range, From: e.at.Revision, To: to, Err: why}
}
