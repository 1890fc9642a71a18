package value

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// The most that one reading of history brings. The watcher then has to take it before the next one begins.
const (
	historyUpdates = 4096
	historyBytes   = 4 << 20
)

// historyReader has the store's history read for one EveryUpdate watcher, in goroutines that end with it. One reading is under way at a time.
type historyReader[T any] struct {
	state   *state[T]
	reading *historyRead[T] // under way, or not taken yet; of the Get under way

	ctx     context.Context // ends with the watcher
	cancel  context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	closed  bool // no reading begins any more
}

func (h *historyReader[T]) init(s *state[T]) {
	h.state = s
	h.ctx, h.cancel = context.WithCancel(context.Background())
}

// close ends the reading under way, and waits for that. It may be called concurrently with the other methods.
func (h *historyReader[T]) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.running.Wait()
}

// read begins to read what comes after a position of the history epoch, up to a revision at least.
func (h *historyReader[T]) read(after upstream.Position, to kv.Revision, epoch uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	ctx, cancel := context.WithCancel(h.ctx)
	r := &historyRead[T]{state: h.state, at: after, to: to, epoch: epoch, cancel: cancel, done: make(chan struct{})}
	h.reading = r
	h.running.Go(func() {
		defer cancel()
		defer close(r.done)
		r.run(ctx)
	})
}

func (h *historyReader[T]) isReading() bool { return h.reading != nil }

// done returns a channel that is closed when the reading under way is done; nil if there is none.
func (h *historyReader[T]) done() <-chan struct{} {
	if h.reading == nil {
		return nil
	}
	return h.reading.done
}

// take returns the reading if it is done. It is then no longer under way.
func (h *historyReader[T]) take() *historyRead[T] {
	select {
	case <-h.done():
		r := h.reading
		h.reading = nil
		return r
	default:
		return nil
	}
}

// drop ends the reading under way, whose updates are of no use any more.
func (h *historyReader[T]) drop() {
	if h.reading != nil {
		h.reading.cancel()
		h.reading = nil
	}
}

// historyRead reads the updates that a watcher has missed and the backlog has dropped. It has a separate watch.
type historyRead[T any] struct {
	state  *state[T]
	to     kv.Revision // how far it has to come, and no further
	epoch  uint64
	cancel context.CancelFunc
	done   chan struct{} // closed when what follows is final

	silence time.Duration // how long an attempt may bring nothing; it doubles, as the link may be slow

	at      upstream.Position // everything up to here is in updates
	updates []*update[T]      // what came after the place it began at, in order
	err     error             // what it ended with, where that was not its goal
	size    int
}

// run reads until it has come far enough, has enough, or meets an error against which trying again does not help.
func (r *historyRead[T]) run(ctx context.Context) {
	retry := upstream.NewRetry(&r.state.config.Settings)
	audit := upstream.NewAudit(r.state.health)
	r.silence = upstream.LagTimeout
	for {
		from := r.at.Revision
		err := r.watch(ctx)
		if err == nil || ctx.Err() != nil {
			r.err = ctx.Err()
			return
		}
		if errors.Is(err, upstream.ErrBehind) && len(r.updates) > 0 && r.isThere() {
			return // what is there is not held back; if something came and went after it, that is for the next reading
		}
		switch {
		case r.at.Revision > from:
			retry.Reset()
			r.silence = upstream.LagTimeout
		case errors.Is(err, upstream.ErrBehind):
			r.silence = min(2*r.silence, upstream.MostSilence)
		}
		if errors.Is(err, kv.ErrPermission) || errors.Is(err, kv.ErrClosed) {
			err = r.confirm(ctx, err)
		}
		delay := retry.NextBackOff()
		switch lost := errors.Is(err, ErrLostEvent) && audit.Lost(err, r.at.Revision); {
		case lost, isGap(err):
			r.err = err
			return // there is no sense in waiting
		case upstream.IsReturned(err):
			r.err = err
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		if r.err != nil {
			return
		}
	}
}

// isThere reports whether the reading has come to what the watchers can see. Where it has to come may be the revision of a read, at which
// the store has no update of what is read.
func (r *historyRead[T]) isThere() bool {
	newest := r.state.published.Load().newest
	return newest != nil && newest.epoch == r.epoch && r.at.SameAs(&newest.Position)
}

// isGap reports whether err, of a watch, says that the store cannot give what comes next.
func isGap(err error) bool {
	return errors.Is(err, kv.ErrCompacted) || errors.Is(err, kv.ErrReset) || errors.Is(err, kv.ErrTooLarge)
}

// confirm returns the error of a read, where that fails as the watch did. Otherwise it is as for the upstream: only a read
// says that a permission is gone, or the store closed.
func (r *historyRead[T]) confirm(ctx context.Context, refused error) error {
	ctx, cancel := context.WithTimeout(ctx, max(upstream.AnswerTimeout, r.silence))
	defer cancel()
	_, err := kv.Stat(ctx, r.state.store, r.state.subject.Range)
	if upstream.IsReturned(err) {
		return err
	}
	if ctx.Err() != nil {
		r.silence = min(2*r.silence, upstream.MostSilence)
	}
	return fmt.Errorf("%w: %v", upstream.ErrRefused, refused)
}

// watch is one attempt. It returns nil when there is enough.
func (r *historyRead[T]) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(r.silence, func() { cancel(upstream.ErrBehind) })
	defer silence.Stop()
	for b, err := range r.state.store.Watch(ctx, r.state.subject.Range, r.at.Revision) {
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
		silence.Reset(r.silence)
		news, err := r.follow(b)
		if err != nil {
			return err
		}
		for _, step := range news {
			u := r.state.face.stepped(step, r.epoch)
			r.updates = append(r.updates, u)
			r.size += u.size
		}
		if r.at.Revision >= r.to || len(r.updates) >= historyUpdates || r.size >= historyBytes {
			return nil
		}
	}
	return upstream.ErrEnded
}

// follow moves over a batch, and returns what is new in it. It moves no further than the revision that the reading has to reach: only the
// upstream notices that history was replaced, so no watcher may be ahead of it. But the audit sees the whole batch, because a later event may
// prove that an earlier one was lost.
func (r *historyRead[T]) follow(b kv.Batch) ([]upstream.Step, error) {
	subject := r.state.subject
	if n := slices.IndexFunc(b.Events, func(ev kv.Event) bool { return ev.ModRevision > r.to }); n >= 0 {
		if err := subject.Audit(r.at, b); err != nil {
			return nil, err
		}
		b.Events = b.Events[:n]
	}
	b.Revision = min(b.Revision, r.to)
	return subject.Follow(&r.at, b, true, nil, nil)
}
