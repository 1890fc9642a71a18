package backend

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// Errors makes the errors of a store.
type Errors struct {
	// Store is the package of the store, as messages name it: "kv/etcd".
	Store string
	// Reason returns the error of package kv that an error of the backend means. If it returns nil, or is nil, the reason is
	// [kv.ErrUnavailable]: readers wait for the store to come back.
	Reason func(error) error
}

// Op returns the error of an operation that failed with err, or nil if err is nil. op is the operation and its range or key, such as
// `put "/app/limits"`.
//
// The reason is the first of these:
//
//   - the error of ctx, if ctx has ended. Drivers then often return an error of their own, which is left out: it might match another
//     error of package kv;
//   - err itself, if it matches an error of package kv;
//   - what Reason returns, with err as the cause.
func (e Errors) Op(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	failed := &kv.OpError{Store: e.Store, Op: op}
	switch {
	case ctx.Err() != nil:
		failed.Reason = ctx.Err()
	case isPortable(err):
		failed.Reason = err
	default:
		failed.Reason, failed.Cause = e.reason(err), err
	}
	return failed
}

// Watch is Op for a watch of r after a revision.
func (e Errors) Watch(ctx context.Context, r kv.Range, after kv.Revision, err error) error {
	return e.Op(ctx, fmt.Sprintf("watch %v after %d", r, after), err)
}

func (e Errors) reason(err error) error {
	if e.Reason != nil {
		if reason := e.Reason(err); reason != nil {
			return reason
		}
	}
	return kv.ErrUnavailable
}

// isPortable reports whether err says in the words of package kv what happened.
func isPortable(err error) bool {
	for _, known := range []error{
		kv.ErrCompacted, kv.ErrConflict, kv.ErrReset, kv.ErrNotFound, kv.ErrInvalidKey, kv.ErrInvalidRange, kv.ErrTooLarge,
		kv.ErrUnsupported, kv.ErrPermission, kv.ErrUnavailable, kv.ErrClosed,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
