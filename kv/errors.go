package kv

import (
	"errors"
	"fmt"
	"strings"
)

// The errors every store speaks. Test for them with [errors.Is]: a store returns them wrapped, as a rule in
// an [*OpError], together with its own. The error of the caller's context is not among them: where that has ended it is
// what is returned, wrapped or not, and nothing else may match it. A store's own timeout is ErrUnavailable.
var (
	// ErrCompacted: the history that was asked for is gone. Always a [*CompactedError].
	ErrCompacted = errors.New("history compacted")
	// ErrConflict: a condition of a write did not hold; nothing was written.
	ErrConflict = errors.New("conflict")
	// ErrReset: the store's past is no longer the one that was read; it was restored from a backup, or another
	// store stands behind the address. What is remembered of its revisions means nothing: read afresh.
	ErrReset = errors.New("history replaced")
	// ErrNotFound: the key does not exist. Returned by [GetKey]; a Store itself returns an empty Snapshot.
	ErrNotFound = errors.New("key not found")
	// ErrInvalidKey: a key that no store takes, such as the empty one, or one named twice in a commit.
	ErrInvalidKey = errors.New("invalid key")
	// ErrInvalidRange: a range that no store takes, such as one that can hold no key, or a negative revision.
	ErrInvalidRange = errors.New("invalid range")
	// ErrTooLarge: a write larger than the store takes, or a range of longer keys; nothing was written. Or an answer, to a
	// read or a watch, larger than the store's client accepts: the same call fails again until the data has changed. A watch
	// may have left out what came in the same answer.
	ErrTooLarge = errors.New("too large")
	// ErrUnsupported: the store cannot do this. It matches [errors.ErrUnsupported] as well.
	ErrUnsupported = fmt.Errorf("%w by this store", errors.ErrUnsupported)
	// ErrPermission: the store refuses the caller, whom it does not know, or who may not do this.
	ErrPermission = errors.New("permission denied")
	// ErrUnavailable: it may work later: no leader, no connection, too many requests, a stream that was cut.
	// A write that failed so may or may not have happened.
	ErrUnavailable = errors.New("unavailable")
	// ErrClosed: the store, or the client beneath it, was closed.
	ErrClosed = errors.New("closed")
)

// CompactedError ends a watch whose history is gone. It matches [ErrCompacted].
type CompactedError struct {
	// Oldest is the oldest revision whose changes the store still has: the earliest watch it can serve is
	// one after Oldest-1. Zero if the store does not tell.
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

// OpError says which operation on which keys failed, and why. Backends return it so that the errors of
// all stores read alike:
//
//	kv/etcd: watch "/app/limits" after 812: permission denied
type OpError struct {
	Store  string // the package of the store: "kv/etcd"
	Op     string // the operation and its range or its key, or of several the first: `watch "/app/limits" after 812`
	Reason error  // an error that matches one of this package's, such as a *CompactedError, or a context's
	Cause  error  // the backend's own error; nil where there is none
}

func (e *OpError) Error() string {
	text := e.Store + ": " + e.Op + ": " + e.Reason.Error()
	if e.Cause == nil {
		return text
	}
	cause := e.Cause.Error()
	if strings.HasSuffix(cause, e.Reason.Error()) {
		return text // the backend says the same, in no more words
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
