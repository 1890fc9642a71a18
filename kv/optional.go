package kv

import (
	"context"
	"iter"
	"reflect"
)

// Stater is a [Store] that can read a range without its values. Where the values are large, this takes only a few bytes.
type Stater interface {
	Store

	// Stat returns what Get returns, and promises what Get promises, except that the Value of each entry is nil.
	Stat(ctx context.Context, r Range) (Snapshot, error)
}

// Stat reads r in s without the values. It calls the store's own Stat if s is a [Stater], and Get otherwise. The Value of
// each entry is nil in both cases. The errors are the store's.
func Stat(ctx context.Context, s Store, r Range) (Snapshot, error) {
	if s, ok := As[Stater](s); ok {
		return s.Stat(ctx, r)
	}
	snapshot, err := s.Get(ctx, r)
	for i := range snapshot.Entries {
		snapshot.Entries[i].Value = nil
	}
	return snapshot, err
}

// Acknowledger is a [Store] that reports when a watch has begun. A store over a network knows that only when a server has
// answered. Until then the watch may wait for a server that is gone.
type Acknowledger interface {
	Store

	// WatchAcknowledged is Watch, and calls acknowledged once, before the first batch, when the store knows that the watch
	// has begun and is served. It makes the call in the goroutine that iterates. It makes no call for a watch that is
	// refused or that fails before it has begun.
	WatchAcknowledged(ctx context.Context, r Range, after Revision, acknowledged func()) iter.Seq2[Batch, error]
}

// WatchAcknowledged watches r in s and calls acknowledged when the watch has begun. If s is an [Acknowledger], the store
// reports that. Otherwise the watch counts as begun when the iteration begins. The sequence is that of [Store.Watch].
func WatchAcknowledged(ctx context.Context, s Store, r Range, after Revision, acknowledged func()) iter.Seq2[Batch, error] {
	if s, ok := As[Acknowledger](s); ok {
		return s.WatchAcknowledged(ctx, r, after, acknowledged)
	}
	return func(yield func(Batch, error) bool) {
		acknowledged()
		s.Watch(ctx, r, after)(yield)
	}
}

// ProgressRequester is a [Store] whose running watches can be asked for a bookmark.
type ProgressRequester interface {
	Store

	// RequestProgress asks the store's running watches to yield a bookmark at the store's current revision. It does not wait
	// for the bookmarks. The bookmarks are true (W7). So a watch that is behind, or that waits for a future revision, yields
	// none. If the store answers for several watches together, the other watches may yield none either: the store's
	// documentation says so.
	RequestProgress(ctx context.Context) error
}

// RequestProgress calls the store's own RequestProgress if s is a [ProgressRequester]. Otherwise the error matches
// [ErrUnsupported].
func RequestProgress(ctx context.Context, s Store) error {
	if s, ok := As[ProgressRequester](s); ok {
		return s.RequestProgress(ctx)
	}
	return &OpError{Store: "kv", Op: "request progress", Reason: ErrUnsupported}
}

// SelfReader is a [Store] that may send a read again itself. When a connection is dead and another one works, its Get and
// Stat send the read on the other one. For any other store, the reader sends the read again after some seconds without an
// answer. If the value is large and the network slow, this transfers the whole value twice.
type SelfReader interface {
	Store

	// ReadsAgain reports whether the store sends its reads again.
	ReadsAgain() bool
}

// As returns s as an optional interface, such as [Stater], if s has that ability itself. The result is false if s only
// inherits the ability from a store that it embeds. An inherited Stat calls the Get of the embedded store, and so skips a
// Get that the outer type declares.
//
// A store shows which type the methods belong to with a method Itself, which returns the store. A type that embeds such a
// store and declares the optional methods must declare Itself as well. If a store has no Itself, As trusts its methods.
func As[T Store](s Store) (T, bool) {
	able, ok := s.(T)
	if !ok {
		return able, false
	}
	// Types are compared, because the values of some types cannot be.
	if named, ok := s.(interface{ Itself() Store }); ok && reflect.TypeOf(named.Itself()) != reflect.TypeOf(s) {
		var none T
		return none, false
	}
	return able, true
}
