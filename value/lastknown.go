package value

import (
	"context"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// LastKnown keeps what was last known of keys, for a start at which their store does not answer. Package
// [github.com/watchkv/watchkv/value/lastknown] keeps it in files. Its methods may be called concurrently.
type LastKnown interface {
	// Load returns what was saved last for r, and when the store had confirmed it, zero if that is not known. If there is nothing, the
	// error matches [kv.ErrNotFound]. The snapshot belongs to the caller. ctx ends when the last watcher is closed, whose Close waits for
	// Load to return.
	Load(ctx context.Context, r kv.Range) (s kv.Snapshot, confirmed time.Time, err error)

	// Save keeps s in the place of what was saved before for r. It neither changes the bytes of s nor keeps them after it returns. confirmed
	// may be zero.
	Save(ctx context.Context, r kv.Range, s kv.Snapshot, confirmed time.Time) error
}
