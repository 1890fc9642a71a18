package value

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// The errors of a Get, in addition to [*DecodeError], [*GapError], [kv.ErrPermission] and the error of the context. Test for them with
// [errors.Is].
var (
	// ErrDeleted: the key was deleted. It is returned once. The next Get waits until the key exists again.
	ErrDeleted = errors.New("the key was deleted")
	// ErrClosed: the watcher or its store was closed. It is [kv.ErrClosed].
	ErrClosed = kv.ErrClosed
	// ErrWatcherClosed: the watcher was closed, not the store. It matches ErrClosed too.
	ErrWatcherClosed = fmt.Errorf("the watcher was %w", ErrClosed)
	// ErrConcurrentGet: another Get of this watcher is running. That Get is not disturbed.
	ErrConcurrentGet = errors.New("another Get of this watcher is under way")
	// ErrStale: the store has not confirmed the value for longer than [WithMaxStaleness] allows.
	ErrStale = errors.New("not confirmed by the store for too long")
	// ErrLostEvent: the versions of the key prove that the store's watch has left out an event. The key is then
	// read again, so this error is only seen in Status and in a GapError.
	ErrLostEvent = upstream.ErrLostEvent
	// ErrNothingNew: TryGet has nothing that the watcher has not returned already.
	ErrNothingNew = errors.New("nothing new")
)

// ErrOutcomeUnknown: the acknowledgement of a write was lost, and it could not be found out whether the write has happened. It has
// happened once, or will happen once, or never. [Update], [Create] and [Delete] return it together with the reason.
var ErrOutcomeUnknown = errors.New("outcome unknown")

// Why an outcome is unknown, in addition to the errors of the store and of the context.
var (
	errMayAppear = errors.New("the key was absent, so the write may happen whenever it is absent")
	errAmbiguous = errors.New("the key was changed in this way, by this call or by another one")
)

// DecodeError reports an update that could not be decoded. It also reports an update that is larger than the store's client accepts; Err
// then matches [kv.ErrTooLarge]. The watcher continues: the next Get returns what comes after the update.
type DecodeError struct {
	Key      string      // the key; empty if what could not be decoded is a bundle
	Range    kv.Range    // the key, or the range of the bundle
	Revision kv.Revision // of the update that could not be decoded
	Err      error       // the decoder's error, which may quote the value; if the decoder panicked, the value of the panic
	Stack    []byte      // of a decoder that panicked; nil otherwise
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("value: decode %v at revision %d: %v", e.Range, e.Revision, e.Err)
}

// Unwrap returns the decoder's error.
func (e *DecodeError) Unwrap() error { return e.Err }

// GapError reports to an [EveryUpdate] watcher that updates may be missing, because the store no longer has them. The next Get returns
// the newest value. If the watcher has returned that already, the next Get waits for a newer one.
type GapError struct {
	Key   string      // the key; empty if the updates are of a range
	Range kv.Range    // the key, or the range
	From  kv.Revision // the watcher has returned every update up to this revision
	To    kv.Revision // and continues from the state of the key at this revision
	Err   error       // why: kv.ErrCompacted, kv.ErrTooLarge, kv.ErrReset where history was replaced, or ErrLostEvent
}

func (e *GapError) Error() string {
	return fmt.Sprintf("value: %v: updates after revision %d may be lost, going on from revision %d: %v", e.Range, e.From, e.To, e.Err)
}

// Unwrap returns why the updates are lost.
func (e *GapError) Unwrap() error { return e.Err }

// IsFinal reports whether every later Get of the watcher returns err too: the watcher or the store was closed, or an argument of [New],
// [NewMap], [NewBundle] or Watch is wrong. After any other error the watcher works as before, and a loop should continue: a deletion, a
// bad value, a gap, a stale value, a permission that may be given back. The end of the caller's context is not final for the watcher.
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
