package logkv

import (
	"context"
	"errors"
	"io/fs"

	"github.com/watchkv/watchkv/kv"
)

// opError names the operation that failed, and the portable error of package kv that is the reason. An error that is none of
// those came from the disk.
func opError(op string, err error) error {
	e := &kv.OpError{Store: "examples/logkv", Op: op, Reason: kv.ErrUnavailable, Cause: err}
	for _, shared := range []error{
		context.Canceled, context.DeadlineExceeded, kv.ErrCompacted, kv.ErrConflict, kv.ErrReset, kv.ErrInvalidKey,
		kv.ErrInvalidRange, kv.ErrTooLarge, kv.ErrUnsupported, kv.ErrClosed,
	} {
		if errors.Is(err, shared) {
			e.Reason, e.Cause = err, nil
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		e.Reason = kv.ErrPermission
	}
	return e
}
