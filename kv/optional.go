package kv

import (
	"context"
	"iter"
)

// Stater is a [Store] that can read a range without its values, which takes a few bytes where the values are large.
type Stater interface {
	Store

	// Stat returns what Get returns, and promises what Get promises, except that the Value of each entry is nil.
	Stat(ctx context.Context, r Range) (Snapshot, error)
}

// Stat reads what s holds in r, without the values: with the store's own Stat where s is a [Stater], and with Get otherwise.
// The Value of each entry is nil either way. The errors are the store's.
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

// Acknowledger is a [Store] that says when a watch has begun. A store over a network knows that only once a server has
// answered; until then the watch may wait for a server that is gone.
type Acknowledger interface {
	Store

	// WatchAcknowledged is Watch. It calls acknowledged once, before the first batch, when the store knows that
	// the watch has begun and is served. It calls it in the goroutine that iterates, and does not call it for a watch that
	// is refused or fails before it has begun.
	WatchAcknowledged(ctx context.Context, r Range, after Revision, acknowledged func()) iter.Seq2[Batch, error]
}

// WatchAcknowledged watches r in s and calls acknowledged when the watch has begun: when the store says so where s is
// an [Acknowledger], and otherwise as soon as the sequence is iterated. The sequence is that of [Store.Watch].
func WatchAcknowledged(ctx context.Context, s Store, r Range, after Revision, acknowledged func()) iter.Seq2[Batch, error] {
	if s, ok := As[Acknowledger](s); ok {
		return s.WatchAcknowledged(ctx, r, after, acknowledged)
	}
	return func(yield func(Batch, error) bool) {
		acknowledged()
		s.Watch(ctx, r, after)(yield)
	}
}

// ProgressRequester is a [Store] whose running watches can be asked how far they are.
type ProgressRequester interface {
	Store

	// RequestProgress asks the store to have its running watches yield a bookmark at its current revision. It does not
	// wait for the bookmarks. It asks for nothing that the store cannot say truthfully (W7): a watch that is behind, or
	// that waits for a future revision, yields none, and where the store answers for several watches together, the
	// others may yield none either. The store's documentation says which.
	RequestProgress(ctx context.Context) error
}

// RequestProgress calls the store's own RequestProgress where s is a [ProgressRequester]. Otherwise the error matches
// [ErrUnsupported].
func RequestProgress(ctx context.Context, s Store) error {
	if s, ok := s.(ProgressRequester); ok {
		return s.RequestProgress(ctx)
	}
	return &OpError{Store: "kv", Op: "request progress", Reason: ErrUnsupported}
}

// SelfReader is a [Store] that looks after its own reads: when a connection is dead while another would answer, its Get and
// Stat send the read again. A reader of any other store reads again itself when there is no answer for some seconds, which
// costs the whole value twice where the value is large and the network slow.
type SelfReader interface {
	Store

	// ReadsAgain reports whether the store does so.
	ReadsAgain() bool
}

// As returns s as an optional interface, such as [Stater], if s has that ability itself. The result is false where s only
// inherits the ability, from a store that it embeds. A type that embeds a store and declares a Get or a Watch would be passed
// over otherwise: the Stat that it inherits is that of the embedded store, and calls the Get of that.
//
// A store tells the two apart by an Itself method, which returns the store that it is a method of. A type that embeds such a
// store and declares the optional methods too declares Itself as well. A store without Itself is taken at its word.
func As[T Store](s Store) (T, bool) {
	able, ok := s.(T)
	if !ok {
		return able, false
	}
	if named, ok := s.(interface{ Itself() Store }); ok && named.Itself() != s {
		var none T
		return none, false
	}
	return able, true
}
