package value

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// The errors of a Get, beside [*DecodeError], [*GapError], the context's own, and [kv.ErrPermission].
// Test for them with [errors.Is].
var (
	// ErrDeleted: the key was deleted. Said once; the next Get waits for its re-creation.
	ErrDeleted = errors.New("the key was deleted")
	// ErrClosed: the watcher, or the store beneath it, was closed. It is [kv.ErrClosed].
	ErrClosed = kv.ErrClosed
	// ErrWatcherClosed: the watcher was closed, and not the store. It matches ErrClosed too.
	ErrWatcherClosed = fmt.Errorf("the watcher was %w", ErrClosed)
	// ErrConcurrentGet: another Get of this watcher is under way. It is not disturbed.
	ErrConcurrentGet = errors.New("another Get of this watcher is under way")
	// ErrStale: the store has not confirmed the value for longer than [WithMaxStaleness] allows.
	ErrStale = errors.New("not confirmed by the store for too long")
	// ErrLostEvent: the versions of the key prove that the store's watch has left out an event. It is met by reading
	// afresh, and so seen in Status and in a GapError only.
	ErrLostEvent = upstream.ErrLostEvent
	// ErrNothingNew: TryGet has nothing that the watcher has not returned already.
	ErrNothingNew = errors.New("nothing new")
)

// DecodeError says that an update could not be decoded, or not even be read because it is larger than the store's client
// accepts: then Err matches [kv.ErrTooLarge]. The watcher goes on: the next Get returns what comes after it.
type DecodeError struct {
	Key      string
	Revision kv.Revision // of the update that could not be decoded
	Err      error       // what the decoder said, which may quote the value; for a decoder that panicked, what it panicked with
	Stack    []byte      // of a decoder that panicked; nil otherwise
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("value: decode %q at revision %d: %v", e.Key, e.Revision, e.Err)
}

// Unwrap returns the decoder's error.
func (e *DecodeError) Unwrap() error { return e.Err }

// GapError tells an [EveryUpdate] watcher that updates may have been lost to it, because the store no longer
// has them. The next Get returns the newest, or waits for a newer one where the newest is what the watcher returned last.
type GapError struct {
	Key  string
	From kv.Revision // the watcher has seen everything up to here
	To   kv.Revision // and goes on from what the key was here
	Err  error       // why: kv.ErrCompacted, kv.ErrTooLarge, kv.ErrReset where history was replaced, or ErrLostEvent
}

func (e *GapError) Error() string {
	return fmt.Sprintf("value: %q: updates after revision %d may be lost, going on from revision %d: %v", e.Key, e.From, e.To, e.Err)
}

// Unwrap returns why the updates are lost.
func (e *GapError) Unwrap() error { return e.Err }

// IsFinal reports whether err, of a Get, is one that every later Get of the watcher returns too: the watcher or the store was
// closed, or an argument of [New] is wrong. After any other error the watcher is as good as before, and a loop goes on:
// a deletion, a bad value, a gap, a stale value, a permission that may be given back. The end of the caller's own
// context is not final for the watcher.
func IsFinal(err error) bool {
	if _, bad := errors.AsType[*DecodeError](err); bad {
		return false // whatever the decoder's error matches
	}
	_, wrong := errors.AsType[misuse](err)
	return wrong || errors.Is(err, ErrClosed)
}

// misuse is the error of a Value that was made with a wrong argument.
type misuse struct{ error }

func (e misuse) Unwrap() error { return e.error }
