package value

import (
	"context"
	"errors"
	"iter"

	"github.com/watchkv/watchkv/kv"
)

// Watcher is one reader of a [Value]. It returns the current value, and then the value again each time it changes. Only one goroutine
// may read at a time. Any goroutine may close the Watcher.
type Watcher[T any] struct {
	reader reader[T]
	supply *supply[T]
}

func newWatcher[T any](s *supply[T], opts []WatchOption) *Watcher[T] {
	var c watchConfig
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	w := &Watcher[T]{supply: s}
	w.reader.init(s.state, c)
	if w.reader.special().misuse == nil {
		w.reader.opened(s.open())
	}
	return w
}

// Get returns the next thing to know about the key.
//
// At the first Get a linearizable read begins after the call, and Get returns the value that it finds. If the key is absent and there is no
// default, Get waits until the key exists. Each later Get waits for something newer than what the watcher returned before: the
// newest value, or with [EveryUpdate] the next one.
//
// The error is one of the following:
//
//   - It matches [ErrDeleted] if the key was deleted.
//   - It is a [*DecodeError] for a value that does not decode.
//   - It matches [kv.ErrPermission], or [ErrClosed] if the store was closed, once for each attempt to reach the store, after a read
//     has confirmed it.
//   - It matches [ErrStale] once every [WithMaxStaleness], while the value is too old.
//   - It is a [*GapError], only for an EveryUpdate watcher.
//   - It is the error of ctx, if ctx ends first. Nothing is lost: the next Get returns what this one would have returned.
//   - It matches [ErrClosed] after Close, and [ErrConcurrentGet] while another Get runs.
//   - It matches [kv.ErrNotFound] if the key is absent, only for the first Get with [ReportAbsence].
//   - It matches [kv.ErrUnsupported], [kv.ErrTooLarge], [kv.ErrInvalidKey] or [kv.ErrInvalidRange] if the store refuses the request as such.
//   - It names the argument of [New] or of Watch that is wrong. See [IsFinal].
//
// After each of these the watcher works as before, except after Close. See [IsFinal]. An outage is not an error: Get waits for its
// end, and [Value.Status] and the log report it.
func (w *Watcher[T]) Get(ctx context.Context, opts ...GetOption[T]) (T, error) {
	return w.reader.get(ctx, newGetConfig(opts), true)
}

// TryGet is a [Watcher.Get] that never waits. Where Get would wait, the error matches [ErrNothingNew]. That is also so until the store
// has answered the read that was made when the watcher was opened. While the value is older than [WithMaxStaleness] allows, each
// TryGet returns ErrStale. TryGet never asks the store, not even with [AtLeast]: it returns what that read or the watch has brought.
// So with the revision of a history that was replaced it finds nothing until the new history has come that far.
func (w *Watcher[T]) TryGet(opts ...GetOption[T]) (T, error) {
	return w.reader.get(context.Background(), newGetConfig(opts), false)
}

// Updates yields what successive calls of [Watcher.Get] return, including errors. It ends when ctx ends, when the watcher or its store is
// closed, at a wrong argument, and when another Get runs. That error is the last pair it yields.
func (w *Watcher[T]) Updates(ctx context.Context, opts ...GetOption[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := w.Get(ctx, opts...)
			if !yield(v, err) || err != nil && isLast(ctx, err, w.reader.special().misuse) {
				return
			}
		}
	}
}

// isLast reports whether err, of a Get, is one that each later Get would return at once.
func isLast(ctx context.Context, err, misuse error) bool {
	if _, bad := errors.AsType[*DecodeError](err); bad {
		return false // whatever the decoder's error matches
	}
	return err == ctx.Err() || misuse != nil || IsFinal(err) || errors.Is(err, ErrConcurrentGet)
}

// Revision returns the revision of what Get returned last: the revision of the put, or of the deletion, or a revision by which the
// deletion had happened. It is zero before the first Get has returned. Call it from the goroutine that calls Get.
func (w *Watcher[T]) Revision() kv.Revision {
	return w.reader.revision()
}

// Condition holds while the key is as the Get before has shown it: as the value that it returned, a value that does not decode, or absent,
// also if the default stands in. A write on this condition replaces what the program has seen, and nothing newer: a value that a Get has
// skipped was not seen. Before the first Get has returned, and for a [Map] or a bundle, it never holds. Call it from the goroutine that
// calls Get.
func (w *Watcher[T]) Condition() kv.Condition { return w.reader.condition() }

// Previous returns the good value that the watcher returned before what Get returned last: the value before the change, the deletion
// or the bad value. ok is false if there is none: the value is the first one, or the first since a deletion. It is also false without the
// option [KeepPrevious]. Call it from the goroutine that calls Get.
func (w *Watcher[T]) Previous() (v T, ok bool) {
	before := w.reader.before
	if before == nil {
		return v, false
	}
	return before.value, true
}

// Close ends the watcher. A running Get returns [ErrClosed]. When the last watcher of a Value is closed, the Value's watch of the store
// ends, and Close waits for that. So do not call Close from a decoder or from a handler of the log. Close may be called more than
// once, and always returns nil.
func (w *Watcher[T]) Close() error {
	// No sync.Once: what waits for its mutex keeps a synctest bubble from going on, and there may be a decoder to wait for.
	done := make(chan struct{})
	if first := w.reader.closing.CompareAndSwap(nil, &done); !first {
		<-*w.reader.closing.Load()
		return nil
	}
	defer close(done)
	w.reader.close()
	if w.reader.special().misuse == nil {
		w.supply.close()
	}
	return nil
}
