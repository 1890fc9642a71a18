package value

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// The most that one reading of history brings before the watcher has to take it.
const (
	historyUpdates = 4096
	historyBytes   = 4 << 20
)

// historyRead reads, by a watch of its own, the updates that a watcher has missed and the backlog has dropped.
type historyRead[T any] struct {
	v      *Value[T]
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

// run reads until it has come far enough, has enough, or meets an error that is not to be ridden out.
func (r *historyRead[T]) run(ctx context.Context) {
	retry := upstream.NewRetry(&r.v.config.Settings)
	r.silence = upstream.LagTimeout
	holeAt := kv.Revision(-1)
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
		lost := errors.Is(err, ErrLostEvent) && holeAt == r.at.Revision
		if errors.Is(err, ErrLostEvent) {
			holeAt = r.at.Revision
			r.v.health.Lost(err)
		}
		timer := time.NewTimer(retry.NextBackOff())
		if lost || upstream.IsReturned(err) || isGap(err) {
			if !upstream.IsReturned(err) || isGap(err) {
				timer.Reset(0) // there is no sense in waiting
			}
			r.err = err
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		if r.err != nil {
			return
		}
	}
}

// isThere reports whether the reading has come to what the watchers can see. Where it has to come may be the revision of a read, at which
// the store has no update of what is read.
func (r *historyRead[T]) isThere() bool {
	newest := r.v.state.Load().newest
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
	_, err := kv.Stat(ctx, r.v.store, r.v.subject.Range)
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
	for b, err := range r.v.store.Watch(ctx, r.v.subject.Range, r.at.Revision) {
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
			u := r.v.face.stepped(step, r.epoch)
			r.updates = append(r.updates, u)
			r.size += u.size
		}
		if r.at.Revision >= r.to || len(r.updates) >= historyUpdates || r.size >= historyBytes {
			return nil
		}
	}
	return upstream.ErrEnded
}

// follow moves over a batch, and returns what is news in it. It goes no further than where the reading is to come: only
// the upstream notices that history was replaced, so no watcher may be ahead of it. What comes after that is looked at
// all the same, as it may prove that something before it was lost.
func (r *historyRead[T]) follow(b kv.Batch) ([]upstream.Step, error) {
	at := r.at
	news, err := r.v.subject.Follow(&at, b, true, nil)
	if err != nil || at.Revision <= r.to {
		r.at = at
		return news, err
	}
	i := slices.IndexFunc(b.Events, func(ev kv.Event) bool { return ev.ModRevision > r.to })
	if i < 0 {
		i = len(b.Events)
	}
	return r.v.subject.Follow(&r.at, kv.Batch{Revision: r.to, Events: b.Events[:i]}, true, nil)
}
