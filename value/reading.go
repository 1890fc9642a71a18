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
}

// Age is how long ago the store confirmed the reading.
func (r Reading[T]) Age() time.Duration { return time.Since(r.Confirmed) }

// Result is what one [Watcher.Get] returned.
type Result[T any] struct {
	Value    T
	Err      error
	Revision kv.Revision // behind the value, the deletion or the bad value
}
