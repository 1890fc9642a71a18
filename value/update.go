package value

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// Update changes the value of key in store: it reads the key, calls change, and writes what change returns, on the condition
// that the key has not changed since it was read. If the key has changed, nothing is written, and Update starts again after a
// short, random delay. So change may be called several times, one call after the other. It may change old itself. If the key is
// absent, exists is false and old is the zero T.
//
// The Reading is what change returned, with the revision of the write, for [AtLeast]. If change returns a value that encodes to
// the same bytes as old, nothing is written, and the revision is that of the key as it was read.
//
// Only ctx limits how long Update tries. It waits for a store that is unavailable. To limit the number of attempts, count the calls
// of change, and return an error from it.
//
// # Errors
//
// If change returns an error, nothing is written, and Update returns that error as it is. For a value that does not decode the
// error is a [*DecodeError], and change is not called; to replace such a value, put the new one with [kv.IfRevision] and the
// Revision of the DecodeError as the condition. Errors of the store that waiting does not cure are returned, such as
// [kv.ErrPermission] or [kv.ErrTooLarge], and so is the error of ctx. With all these, nothing was written. The one exception
// matches [ErrOutcomeUnknown].
//
// # When an acknowledgement is lost
//
// When the store is cut off during a write, it is unknown whether the write has happened, or whether it will happen later. Update
// finds out, and does not write twice. A write that replaces a value requires the ModRevision that was read. A key leaves a
// ModRevision once and never returns to it. This has three consequences:
//
//   - While the key still has this ModRevision, the same write can be sent again. Both may arrive, and only one can happen.
//   - When the key has another ModRevision, the write has happened as the first change after the one that was read, or it
//     never will.
//   - If the first change wrote other bytes, the write has not happened, and Update starts again as after a conflict.
//
// Two cases remain, in which Update returns an error that matches [ErrOutcomeUnknown]:
//
//   - The first change wrote the very bytes that this call writes. Another writer may have made the same change, as two
//     writers do that add one to the same number. [Distinct] and [Idempotent] exclude this case.
//   - The key was absent. Then the condition is that it is absent, which can become true again when somebody deletes the key. So a
//     creation that was lost is not sent again, and is unknown. [Idempotent] sends it again.
//
// It is also returned if the answer cannot be had: ctx has ended, the history of the key was compacted, the store was closed or
// restored from a backup. It happened at most once in any case.
//
// A condition compares revisions. If the store is restored from a backup between the read and the write, and has the key at the
// same ModRevision again with another value, the write replaces that value.
func Update[T any](ctx context.Context, store kv.ReadWriter, key string, codec Codec[T], change func(old T, exists bool) (T, error), opts ...UpdateOption) (Reading[T], error) {
	w, err := newWrite("update", store, key, opts)
	switch {
	case err != nil:
		return Reading[T]{}, err
	case codec.Encode == nil || codec.Decode == nil:
		return Reading[T]{}, w.wrap(errIncomplete)
	case change == nil:
		return Reading[T]{}, w.wrap(errors.New("nil change"))
	}
	var next T
	err = w.run(ctx, func(s sight) (step, error) {
		var old T
		var unchanged []byte
		if s.exists {
			var err error
			if old, err = decodeEntry(codec.Decode, s.entry.Clone()); err != nil {
				return step{}, err
			}
			if b, err := codec.Encode(old); err == nil {
				unchanged = bytes.Clone(b) // change may write into what b shares with old
			}
		}
		var err error
		if next, err = change(old, s.exists); err != nil {
			return step{}, err
		}
		b, err := codec.Encode(next)
		if err != nil {
			return step{}, w.wrap(fmt.Errorf("encode: %w", err))
		}
		if s.exists && unchanged != nil && bytes.Equal(b, unchanged) {
			return step{kind: nothing}, nil
		}
		return step{kind: put, value: b}, nil
	})
	return reading(w, next, err)
}

// Create puts v at key if the key is absent. If the key exists, the error matches [kv.ErrConflict] and nothing is written. Create
// does not read the value that exists. What [Update] says about ctx and errors holds here.
//
// When the acknowledgement is lost, the outcome is unknown, as Update explains. With [Distinct], Create still reports success if it
// finds v written. With [Idempotent], it also succeeds if the key exists with the bytes of v.
func Create[T any](ctx context.Context, store kv.ReadWriter, key string, codec Codec[T], v T, opts ...UpdateOption) (Reading[T], error) {
	w, err := newWrite("create", store, key, opts)
	switch {
	case err != nil:
		return Reading[T]{}, err
	case codec.Encode == nil:
		return Reading[T]{}, w.wrap(errIncomplete)
	}
	b, err := codec.Encode(v)
	if err != nil {
		return Reading[T]{}, w.wrap(fmt.Errorf("encode: %w", err))
	}
	err = w.run(ctx, func(s sight) (step, error) {
		switch {
		case !s.exists:
			return step{kind: put, value: b}, nil
		case w.idempotent && bytes.Equal(s.entry.Value, b):
			return step{kind: nothing}, nil
		case w.lost != nil:
			return step{}, fmt.Errorf("the key exists with other bytes, at revision %d", s.entry.ModRevision)
		}
		return step{}, w.wrap(fmt.Errorf("%w: the key exists, at revision %d", kv.ErrConflict, s.entry.ModRevision))
	})
	return reading(w, v, err)
}

// Delete deletes key if check agrees. check receives the value, and the deletion is made on the condition that the key has not
// changed since this value was read. If it has changed, Delete starts again. If check returns an error, nothing is deleted, and
// Delete returns that error as it is. A nil check agrees to everything; the value is then not decoded. The revision is that of the
// deletion.
//
// If the key is absent, the error matches [kv.ErrNotFound]. So of several concurrent calls one succeeds. With [Idempotent], an
// absent key is success, and the revision is one at which it was absent.
//
// What [Update] says about ctx, errors and lost acknowledgements holds here. All deletions look alike: if the first change after
// the value that was read is a deletion, the outcome is unknown also with [Distinct].
func Delete[T any](ctx context.Context, store kv.ReadWriter, key string, codec Codec[T], check func(old T) error, opts ...UpdateOption) (kv.Revision, error) {
	w, err := newWrite("delete", store, key, opts)
	switch {
	case err != nil:
		return 0, err
	case codec.Decode == nil && check != nil:
		return 0, w.wrap(errIncomplete)
	}
	err = w.run(ctx, func(s sight) (step, error) {
		switch {
		case !s.exists && w.idempotent:
			return step{kind: nothing}, nil
		case !s.exists:
			return step{}, w.wrap(kv.ErrNotFound)
		case check == nil:
			return step{kind: remove}, nil
		}
		old, err := decodeEntry(codec.Decode, s.entry.Clone())
		if err == nil {
			err = check(old)
		}
		return step{kind: remove}, err
	})
	if err != nil {
		return 0, err
	}
	return w.revision, nil
}

var errIncomplete = errors.New("the codec lacks Encode or Decode")

// reading is what a call returns that has written v, or has found it.
func reading[T any](w *write, v T, err error) (Reading[T], error) {
	if err != nil {
		return Reading[T]{}, err
	}
	return Reading[T]{Value: v, Revision: w.revision, Confirmed: w.began, ModRevision: w.revision}, nil
}
