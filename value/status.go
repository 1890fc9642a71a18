package value

import (
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Status is what is going on between a [Value] and its store.
type Status struct {
	// Connected reports whether the key was read and the store has acknowledged the watch. It is false while no watcher is open. If
	// the store reports no outage, it stays true until the read of [WithCheck] has had no answer for ten seconds.
	Connected bool
	// Since is when Connected last changed, or when the first attempt failed. Before that it is zero.
	Since time.Time
	// LastError is what ended the last connection, or the last attempt to connect. It is nil if nothing has failed yet. It stays when
	// the connection is back.
	LastError error
	// BadValue is the [*DecodeError] of the newest value. It is nil while the newest value is good or absent. While it is not nil,
	// Latest returns an older value.
	BadValue error
	// Revision is the newest revision up to which a watcher of the newest value has the whole history of the key.
	Revision kv.Revision
	// Confirmed is when the last linearizable read began that the store has answered. What the watch delivers confirms nothing, because
	// it may be late.
	Confirmed time.Time
	// Watchers is the number of open watchers.
	Watchers int
	// Holes is how often the audit of the key's versions has proved that the store's watch lost an event. Each time the key was read
	// again.
	Holes int
	// Resets is how often the store's history was found to be replaced.
	Resets int
}
