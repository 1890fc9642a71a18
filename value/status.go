package value

import (
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Status is what is going on between a [Value] and its store.
type Status struct {
	// Connected: the key was read, and the store has acknowledged the watch. It is false while no watcher is open. Where
	// the store reports no outage, it stays true until the read of [WithCheck] has had no answer for ten seconds.
	Connected bool
	// Since is when Connected last changed, or when the first attempt of all failed; zero before that.
	Since time.Time
	// LastError is what last ended a connection or an attempt at one; nil if nothing has. It is kept when the
	// connection is back.
	LastError error
	// BadValue is the [*DecodeError] of the newest value; nil while the newest value is good, or absent. Latest then
	// returns an older value.
	BadValue error
	// Revision is the newest of the store's that is known: nothing in the key's history up to it is unknown
	// to a watcher of the newest.
	Revision kv.Revision
	// Confirmed is when the last linearizable read that the store answered was begun. A watch that delivers
	// confirms nothing: what it brings may be late.
	Confirmed time.Time
	// Watchers is how many are open.
	Watchers int
	// Holes is how many times the audit of the key's versions proved that the store's watch had lost an event.
	// Each was followed by reading afresh.
	Holes int
	// Resets is how many times the store's history was found replaced.
	Resets int
}
