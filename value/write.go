package value

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/watchkv/watchkv/kv"
)

// write is one call of Update, Create or Delete: reads, each followed by a conditional write, until one of the writes has
// happened or the call fails.
type write struct {
	updateConfig
	op    string // "update"
	store kv.ReadWriter
	key   string

	conflicts, outages *backoff.ExponentialBackOff
	lost               error // of the write whose outcome is unknown; nil if there is none
	failure            error // of the store, last; only for the text of an error

	revision kv.Revision // of the write that has happened, or of what made it unnecessary
	began    time.Time   // when the write, or the read that made it unnecessary, began
}

// sight is a key as a read has shown it.
type sight struct {
	revision kv.Revision // of the store, not earlier than the entry's
	exists   bool
	entry    kv.Entry // zero if the key is absent
	began    time.Time
}

// since is the revision that a call returns if it has nothing to write.
func (s sight) since() kv.Revision {
	if s.exists {
		return s.entry.ModRevision
	}
	return s.revision
}

// step is what a call wants to do with the key as it has seen it.
type step struct {
	kind  stepKind
	value []byte // of a put
}

type stepKind uint8

const (
	nothing stepKind = iota
	put
	remove
)

// fate is what became of a write. If it is zero, the write has not happened yet. It may be sent again: both requests have the same
// condition, which the key leaves for ever when the first of them happens.
type fate struct {
	happened   bool
	revision   kv.Revision // of a write that has happened
	impossible bool        // the write has not happened and never will
}

func newWrite(op string, store kv.ReadWriter, key string, opts []UpdateOption) (*write, error) {
	w := &write{op: op, store: store, key: key}
	for _, opt := range opts {
		if opt != nil {
			opt(&w.updateConfig)
		}
	}
	if store == nil {
		return nil, w.wrap(errors.New("nil store"))
	}
	if err := kv.ValidateKey(key); err != nil {
		return nil, w.wrap(err)
	}
	w.conflicts = delays(5*time.Millisecond, 250*time.Millisecond, 1)
	w.outages = delays(defaultRetryFirst, defaultRetryMost/3*2, 0.5)
	return w, nil
}

// delays are random delays that grow from about first to about most.
func delays(first, most time.Duration, random float64) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier, b.RandomizationFactor = first, most, 2, random
	b.Reset()
	return b
}

// run reads the key, has decide say what to do, and does it on the condition that the key is unchanged, until that has
// happened. decide's errors are returned as they are.
func (w *write) run(ctx context.Context, decide func(sight) (step, error)) error {
	for {
		seen, err := w.read(ctx)
		if err != nil {
			return w.fail(err)
		}
		next, err := decide(seen)
		if err != nil {
			if w.lost != nil {
				return w.fail(err)
			}
			return err
		}
		if next.kind == nothing {
			w.revision, w.began = seen.since(), seen.began
			return nil
		}
		done, err := w.try(ctx, seen, next)
		if err != nil {
			return w.fail(err)
		}
		if done {
			return nil
		}
	}
}

// read returns the key as it is. It waits for a store that is unavailable.
func (w *write) read(ctx context.Context) (sight, error) {
	for {
		began := time.Now()
		snapshot, err := w.store.Get(ctx, kv.Key(w.key))
		switch {
		case err == nil:
			s := sight{revision: snapshot.Revision, exists: len(snapshot.Entries) > 0, began: began}
			if s.exists {
				s.entry = snapshot.Entries[0]
			}
			return s, nil
		case ctx.Err() != nil:
			return sight{}, w.ended(ctx)
		case !errors.Is(err, kv.ErrUnavailable):
			return sight{}, err
		}
		if err := w.pause(ctx, w.outages, err); err != nil {
			return sight{}, err
		}
	}
}

// try does next on the condition that the key is as seen. done is false without an error if the key has to be read again: it
// has changed and nothing was written, or the change may be made twice.
func (w *write) try(ctx context.Context, seen sight, next step) (done bool, err error) {
	for {
		if ctx.Err() != nil {
			return false, w.ended(ctx)
		}
		began := time.Now()
		revision, err := w.send(ctx, seen, next)
		switch {
		case err == nil:
			w.revision, w.began = revision, began
			return true, nil
		case errors.Is(err, kv.ErrConflict):
			w.outages.Reset() // the store answers
			if err := w.pause(ctx, w.conflicts, err); err != nil || w.lost == nil || w.idempotent {
				return false, err
			}
		case wasRefused(err):
			return false, err
		default:
			if w.lost == nil {
				w.lost = err
			}
			if !seen.exists && !w.idempotent && !w.distinct {
				return false, errMayAppear
			}
			if err := w.pause(ctx, w.outages, err); err != nil || w.idempotent {
				return false, err
			}
		}
		fate, err := w.findOut(ctx, seen, next)
		switch {
		case err != nil:
			return false, err
		case fate.happened:
			w.revision, w.began = fate.revision, began
			return true, nil
		case fate.impossible:
			w.lost = nil
			return false, w.pause(ctx, w.conflicts, nil)
		}
	}
}

// send makes one request.
func (w *write) send(ctx context.Context, seen sight, next step) (kv.Revision, error) {
	unchanged := kv.IfRevision(seen.entry.ModRevision)
	if next.kind == remove {
		return w.store.Delete(ctx, w.key, unchanged)
	}
	return w.store.Put(ctx, w.key, next.value, unchanged)
}

// wasRefused reports whether err says that the write has not happened and will not.
func wasRefused(err error) bool {
	for _, refusal := range []error{kv.ErrPermission, kv.ErrTooLarge, kv.ErrInvalidKey, kv.ErrUnsupported} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// pause waits for the next of the delays, because of err.
func (w *write) pause(ctx context.Context, delays *backoff.ExponentialBackOff, err error) error {
	if err != nil {
		w.failure = err
	}
	timer := time.NewTimer(delays.NextBackOff())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return w.ended(ctx)
	}
}

// ended is the error of a call whose context has ended. It matches no error of the store.
func (w *write) ended(ctx context.Context) error {
	if w.failure == nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w (before that: %v)", ctx.Err(), w.failure)
}

func (w *write) wrap(err error) error { return fmt.Errorf("value: %s %q: %w", w.op, w.key, err) }
