package value

import (
	"context"
	"errors"
	"sync"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// every is what a watcher for EveryUpdate has beyond one of the newest. It begins at the newest state, goes on
// with the backlog, and reads the store's own history where the backlog does not go back far enough.
type every[T any] struct {
	w      *Watcher[T]
	cursor uint64 // its place in the backlog; guarded by the backlog's mutex

	// Of the Get under way.
	begun   bool              // the newest state was taken; what follows it is next
	epoch   uint64            // the history that at is of
	at      upstream.Position // what the key was when it was last fetched; everything up to here was
	beyond  *update[T]        // of the backlog, and to be fetched once the store's history before it is read
	held    *update[T]        // fetched and not returned yet
	err     error             // to be returned before held
	pending []*update[T]      // read from the store's history, to be fetched next
	reached upstream.Position // where that reading ended

	ctx     context.Context // ends with the watcher
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	reader *historyRead[T] // under way, or not yet looked at
}

func newEvery[T any](w *Watcher[T]) *every[T] {
	e := &every[T]{w: w}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	w.v.backlog.join(e)
	return e
}

// close ends the reading of history, and waits for that.
func (e *every[T]) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.cancel()
	e.running.Wait()
	e.w.v.backlog.leave(e)
}

// next returns the next update to be returned, an error that comes before it, or neither. It returns the same until that is committed.
func (e *every[T]) next(s *state[T], confirmed *upstream.Confirmation, asked *getConfig[T]) (*update[T], error) {
	for e.err == nil {
		if h := e.held; h != nil && (h.Revision >= asked.atLeast ||
			confirmed.Reaches(h.Revision, h.epoch, asked.atLeast) && h.SameAs(&s.newest.Position)) {
			if !e.w.wants(h, asked) {
				e.held = nil
				continue
			}
			return h, nil
		}
		u, err := e.fetch(s, confirmed)
		if u == nil && err == nil {
			return nil, nil
		}
		if e.held != nil {
			e.w.last, e.held = e.held, nil
		}
		if u != nil && e.w.isNews(u) {
			e.held = u
		}
		e.err = err
	}
	return nil, e.err
}

// fetch returns the next update, told or not; nil if there is none yet. With an update, an error is to be told
// before it.
func (e *every[T]) fetch(s *state[T], confirmed *upstream.Confirmation) (*update[T], error) {
	if e.begun && e.epoch != s.newest.epoch {
		if err := e.startOver(s, confirmed, kv.ErrReset); err != nil {
			return nil, err
		}
	}
	if !e.begun {
		u, reached := e.newestState(s, confirmed)
		e.begun, e.epoch, e.at = true, u.epoch, reached
		return u, nil
	}
	if r := e.takeReader(); r != nil {
		e.pending, e.reached = r.updates, r.at
		if r.err != nil && len(r.updates) == 0 {
			return nil, e.readerFailed(s, confirmed, r.err)
		}
		if len(r.updates) == 0 {
			e.at = r.at
		}
	}
	if len(e.pending) > 0 {
		u := e.pending[0]
		e.pending[0] = nil
		e.pending = e.pending[1:]
		e.at = u.Position
		if len(e.pending) == 0 {
			e.pending, e.at = nil, e.reached
		}
		return u, nil
	}
	if e.isReading() {
		return nil, nil
	}
	u, readTo := e.fromBacklog()
	switch {
	case readTo > 0:
		e.read(readTo)
		return nil, nil
	case u == nil:
		return nil, nil
	case u.gap != nil && !e.at.NothingBetween(u.Position) && u.Present:
		// The watch that was lost may have been behind this watcher: the store may have what this one is to have.
		e.beyond = u
		e.read(u.Revision)
		return nil, nil
	case u.gap != nil && !e.at.NothingBetween(u.Position):
		e.goOnFrom(u, u.Position)
		return nil, e.gap(u.Revision, u.gap)
	}
	e.at = u.Position
	return u, nil
}

// fromBacklog returns what the backlog has next, as [backlog.next] does. An update that waits for a reading of history comes
// again until that has come up to it: a reading may bring only a part, and may fail. If it is of the revision that the reading has reached, it
// is taken too: the reading of a range may have lost an event of that revision.
func (e *every[T]) fromBacklog() (u *update[T], readTo kv.Revision) {
	if u, e.beyond = e.beyond, nil; u != nil && u.epoch == e.epoch && (u.Revision > e.at.Revision || u.Revision == e.at.Revision && !u.SameAs(&e.at)) {
		return u, 0
	}
	return e.w.v.backlog.next(e, e.at.Revision, e.epoch)
}

// goOnFrom has the next fetch return u, and what comes after reached follow it.
func (e *every[T]) goOnFrom(u *update[T], reached upstream.Position) {
	e.pending, e.reached = []*update[T]{u}, reached
}

// startOver has the next fetch return the newest state of now, so that nothing after it is missed whenever
// that fetch is. It returns a *GapError if updates may be lost up to it.
func (e *every[T]) startOver(s *state[T], confirmed *upstream.Confirmation, why error) error {
	u, reached := e.newestState(s, confirmed)
	missed := !e.at.NothingBetween(u.Position)
	if errors.Is(why, kv.ErrReset) {
		// Revisions and versions of two histories do not compare: only what is the very same is no loss.
		missed = !e.at.Present || !e.at.SameAs(&u.Position)
	}
	if len(e.pending) == 1 && u.Present && e.pending[0].SameAs(&u.Position) {
		missed = false // it is what comes next in any case
	}
	e.epoch = u.epoch
	e.goOnFrom(u, reached)
	e.dropReader()
	if !missed {
		return nil
	}
	return e.gap(u.Revision, why)
}

// newestState returns the newest update, and the place up to which nothing follows it. An absence, or the contents of a range, that were read
// again are returned as of then: keys may have come and gone since they were read first.
func (e *every[T]) newestState(s *state[T], confirmed *upstream.Confirmation) (u *update[T], reached upstream.Position) {
	u, reached = s.newest, s.newest.Position
	reached.Revision = confirmed.UpTo(u.Revision, u.epoch)
	if (!u.Present || u.Contents != nil) && reached.Revision > u.Revision {
		again := *u
		again.Position = reached
		again.value = e.w.v.face.asOf(u, reached.Revision)
		u = &again
	}
	return u, reached
}

func (e *every[T]) gap(to kv.Revision, why error) error {
	return &GapError{Key: e.w.v.Key(), Range: e.w.v.subject.Range, From: e.at.Revision, To: to, Err: why}
}

// readerFailed takes the error of a reading of history that brought nothing.
func (e *every[T]) readerFailed(s *state[T], confirmed *upstream.Confirmation, err error) error {
	if isGap(err) || errors.Is(err, ErrLostEvent) {
		return e.startOver(s, confirmed, err)
	}
	return err
}

// read begins to read the store's history, up to a revision at least.
func (e *every[T]) read(to kv.Revision) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	ctx, cancel := context.WithCancel(e.ctx)
	r := &historyRead[T]{v: e.w.v, at: e.at, to: to, epoch: e.epoch, cancel: cancel, done: make(chan struct{})}
	e.reader = r
	e.running.Go(func() {
		defer cancel()
		defer close(r.done)
		r.run(ctx)
	})
}

func (e *every[T]) isReading() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reader != nil
}

// reading returns a channel that is closed when the reading under way is done; nil when there is none.
func (e *every[T]) reading() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reader == nil {
		return nil
	}
	return e.reader.done
}

// takeReader returns the reading that is done, if there is one.
func (e *every[T]) takeReader() *historyRead[T] {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.reader
	if r == nil {
		return nil
	}
	select {
	case <-r.done:
		e.reader = nil
		return r
	default:
		return nil
	}
}

func (e *every[T]) dropReader() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reader != nil {
		e.reader.cancel()
		e.reader = nil
	}
}
