package value

import (
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Reading is a value, its revision, and when the store confirmed it.
type Reading[T any] struct {
	Value T
	// Revision is that of the put that made the value, or for a default one at which the key was absent.
	Revision kv.Revision
	// Confirmed is when the store last confirmed what is known of the key, as in [Status].
	Confirmed time.Time
	// ModRevision is that of the key's newest entry, as far as it is known, also if that does not decode and Value is an older one. It is
	// zero if the key is absent, also if Value is the default. In a reading of a [Map] or a bundle it is zero: see [Item].
	ModRevision kv.Revision
	// LastKnown reports that the value is not from the store, but what was last known of it: see [WithLastKnown].
	LastKnown bool
}

// Condition holds while the key is as the reading knows it: a write on this condition does not overwrite what the program has not seen.
// It also replaces a value that does not decode, and creates an absent key that reads as a default. In a reading of a [Map] or a bundle it
// holds for keys that do not exist.
func (r Reading[T]) Condition() kv.Condition { return kv.IfRevision(r.ModRevision) }

// Age is how long ago the store confirmed the reading.
func (r Reading[T]) Age() time.Duration { return time.Since(r.Confirmed) }

// Result is what one [Watcher.Get] returned.
type Result[T any] struct {
	Value    T
	Err      error
	Revision kv.Revision // behind the value, the deletion or the bad value
}
