package kv

import (
	"errors"
	"fmt"
	"strings"
)

// These are the portable errors that every store returns. Test for them with [errors.Is]: a store returns them wrapped,
// usually in an [*OpError], together with its own error. If the caller's context has ended, the error matches the context's
// error and no other portable error. A store's own timeout is ErrUnavailable.
var (
	// ErrCompacted: the requested history is gone. The error is always a [*CompactedError].
	ErrCompacted = errors.New("history compacted")
	// ErrConflict: a condition of a write did not hold; nothing was written.
	ErrConflict = errors.New("conflict")
	// ErrReset: the history of the store was replaced: the store was restored from a backup, or another store answers at the
	// address. Revisions of the old history mean nothing now. Read again.
	ErrReset = errors.New("history replaced")
	// ErrNotFound: the key does not exist. [GetKey] returns it. A Store returns an empty Snapshot instead.
	ErrNotFound = errors.New("key not found")
	// ErrInvalidKey: a key that no store accepts, such as the empty key, or a key that one commit names twice.
	ErrInvalidKey = errors.New("invalid key")
	// ErrInvalidRange: a range that no store accepts, such as one that can hold no key, or a negative revision.
	ErrInvalidRange = errors.New("invalid range")
	// ErrTooLarge: the write is larger than the store accepts, or the range has longer keys. Nothing was written. For a read or a
	// watch: the answer is larger than the store's client accepts. The same call fails again until the data has changed.
	ErrTooLarge = errors.New("too large")
	// ErrUnsupported: the store cannot do this. It matches [errors.ErrUnsupported] as well.
	ErrUnsupported = fmt.Errorf("%w by this store", errors.ErrUnsupported)
	// ErrPermission: the store does not know the caller, or the caller may not do this.
	ErrPermission = errors.New("permission denied")
	// ErrUnavailable: the call may work later. There was no leader or no connection, there were too many requests, or a
	// stream was cut. A write that failed with it may or may not have happened.
	ErrUnavailable = errors.New("unavailable")
	// ErrClosed: the store was closed, or the client beneath it.
	ErrClosed = errors.New("closed")
)

// CompactedError ends a watch whose history is gone. It matches [ErrCompacted].
type CompactedError struct {
	// Oldest is the oldest revision whose changes the store still has, so the earliest possible watch is one after Oldest-1.
	// It is zero if the store does not report it.
	Oldest Revision
}

func (e *CompactedError) Error() string {
	if e.Oldest == 0 {
		return ErrCompacted.Error()
	}
	return fmt.Sprintf("%v: the oldest revision kept is %d", ErrCompacted, e.Oldest)
}

// Is reports whether target is [ErrCompacted].
func (e *CompactedError) Is(target error) bool { return target == ErrCompacted }

// OpError reports which operation on which keys failed, and why. Stores return it, so that the errors of all stores look the
// same:
//
//	kv/etcd: watch "/app/limits" after 812: permission denied
type OpError struct {
	Store  string // the package of the store: "kv/etcd"
	Op     string // the operation and its range or key, or the first of several: `watch "/app/limits" after 812`
	Reason error  // an error that matches one of this package, such as a *CompactedError, or the context's
	Cause  error  // the backend's own error, or nil
}

func (e *OpError) Error() string {
	text := e.Store + ": " + e.Op + ": " + e.Reason.Error()
	if e.Cause == nil {
		return text
	}
	cause := e.Cause.Error()
	if strings.HasSuffix(cause, e.Reason.Error()) {
		return text // the backend's error says the same
	}
	return text + " (" + cause + ")"
}

// Unwrap returns the portable reason and the backend's own cause.
func (e *OpError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Cause}
}
