package value

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// fail returns err as the end of the call. If the outcome of a write is unknown, that is what the error says first.
func (w *write) fail(err error) error {
	if w.lost == nil {
		return w.wrap(err)
	}
	return &outcomeError{op: w.op, key: w.key, lost: w.lost, reason: err}
}

// outcomeError is the end of a call that does not know whether it has written.
type outcomeError struct {
	op, key string
	lost    error // of the write
	reason  error // why it was not found out
}

func (e *outcomeError) Error() string {
	text := fmt.Sprintf("value: %s %q: %v: %v", e.op, e.key, ErrOutcomeUnknown, e.lost)
	if reason := e.reason.Error(); reason != e.lost.Error() {
		text += "; then: " + reason
	}
	return text
}

// Unwrap returns ErrOutcomeUnknown, the reason, and the error of the write unless the caller's context has ended.
func (e *outcomeError) Unwrap() []error {
	if errors.Is(e.reason, context.Canceled) || errors.Is(e.reason, context.DeadlineExceeded) {
		return []error{ErrOutcomeUnknown, e.reason}
	}
	return []error{ErrOutcomeUnknown, e.reason, e.lost}
}

// findOut finds out what became of next, a write on the condition that the key is as seen. An error says why that is not
// possible.
func (w *write) findOut(ctx context.Context, seen sight, next step) (fate, error) {
	now, err := w.read(ctx)
	switch {
	case err != nil:
		return fate{}, err
	case now.revision < seen.revision || now.entry.ModRevision < seen.entry.ModRevision && now.exists:
		return fate{}, kv.ErrReset
	case !seen.exists:
		return w.findCreation(ctx, seen, now, next)
	case now.exists && now.entry.ModRevision == seen.entry.ModRevision:
		if !sameEntry(seen.entry, now.entry) {
			return fate{}, kv.ErrReset
		}
		return fate{}, nil
	}
	first, err := w.firstChange(ctx, seen, now)
	switch {
	case err != nil:
		return fate{}, err
	case !next.made(first):
		return fate{impossible: true}, nil
	case w.distinct && next.kind == put:
		return fate{happened: true, revision: first.ModRevision}, nil
	}
	return fate{}, errAmbiguous
}

func sameEntry(a, b kv.Entry) bool {
	return a.CreateRevision == b.CreateRevision && a.Version == b.Version && bytes.Equal(a.Value, b.Value)
}

// made reports whether e is what the step does to its key.
func (s step) made(e kv.Event) bool {
	if s.kind == remove {
		return e.Type == kv.EventDelete
	}
	return e.Type == kv.EventPut && bytes.Equal(e.Value, s.value)
}

// firstChange returns the first change of the key after seen, which is not what there is now. It needs no history if the key
// was put once in between.
func (w *write) firstChange(ctx context.Context, seen, now sight) (first kv.Event, err error) {
	if now.exists && now.entry.CreateRevision == seen.entry.CreateRevision && now.entry.Version == seen.entry.Version+1 {
		return kv.Event{Type: kv.EventPut, Entry: now.entry}, nil
	}
	err = w.changes(ctx, seen.revision, now.revision, func(e kv.Event) bool {
		first = e
		return false
	})
	if err == nil && (first.Key == "" || first.Type == kv.EventPut && first.Version != seen.entry.Version+1) {
		err = ErrLostEvent // by its version, there was another change before
	}
	return first, err
}

// findCreation finds out what became of a creation whose values are distinct. While the key was absent it may have happened at
// any time, and after another deletion it may still happen: so it can be found, and never be excluded.
func (w *write) findCreation(ctx context.Context, seen, now sight, next step) (fate, error) {
	if !now.exists {
		return fate{}, errMayAppear
	}
	var found fate
	err := w.changes(ctx, seen.revision, now.entry.ModRevision, func(e kv.Event) bool {
		if next.made(e) {
			found = fate{happened: true, revision: e.ModRevision}
		}
		return !found.happened
	})
	if err == nil && !found.happened {
		err = errMayAppear
	}
	return found, err
}

// historyWait is how long a watch of the history may be silent the first time. After that it is opened again, and has twice as
// long.
const historyWait = 10 * time.Second

// changes calls visit for each change of the key after one revision, up to another one that the store has reached, until visit
// returns false. There must be a change in between.
func (w *write) changes(ctx context.Context, after, upTo kv.Revision, visit func(kv.Event) bool) error {
	for wait := historyWait; ; wait *= 2 {
		err := w.history(ctx, wait, &after, upTo, visit)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return w.ended(ctx)
		case !errors.Is(err, kv.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		if err := w.pause(ctx, w.outages, err); err != nil {
			return err
		}
	}
}

// history reads once what changes is for. It moves after past what visit has seen.
func (w *write) history(ctx context.Context, wait time.Duration, after *kv.Revision, upTo kv.Revision, visit func(kv.Event) bool) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for b, err := range w.store.Watch(ctx, kv.Key(w.key), *after) {
		if err != nil {
			return err
		}
		for _, e := range b.Events {
			if e.ModRevision > upTo || !visit(e) {
				return nil
			}
		}
		if *after = b.Revision; *after >= upTo {
			return nil
		}
	}
	return fmt.Errorf("%w: the watch ended without an error", kv.ErrUnavailable)
}
