package value

import (
	"context"
	"iter"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// Status is what is going on between a [Value] and its store.
type Status struct {
	// Connected reports whether the key was read and the store has acknowledged the watch. It is false while no watcher is open. If
	// the store reports no outage, it stays true until the read of [WithCheck] has had no answer for ten seconds, and a small read
	// has had none either.
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
	// Stale reports whether a watcher is open and the store has not confirmed the value for longer than [WithMaxStaleness] allows. Without
	// that option it is false.
	Stale bool
	// Watchers is the number of open watchers.
	Watchers int
	// Holes is how often the audit of the key's versions has proved that the store's watch lost an event. Each time the key was read
	// again.
	Holes int
	// Resets is how often the store's history was found to be replaced.
	Resets int
	// Updates is how many updates reads and watches have brought. Updates of a [Map] that came together count once.
	Updates int
	// DecodeErrors is how often a newest value did not decode.
	DecodeErrors int
	// Reconnections is how often a lost connection was made again.
	Reconnections int
	// LastKnown reports that watchers get what was last known, because the store has not answered or the newest value is bad: see
	// [WithLastKnown].
	LastKnown bool
	// LastKnownError is why loading what was last known failed, or why the last save failed. It is nil if neither failed.
	LastKnownError error
	// Resyncs is how often a read had to replace what the watch could not bring: after a compaction, a lost event or a replaced history.
	Resyncs int
}

// Status returns what is going on between the Value and its store.
func (v *Value[T]) Status() Status {
	s, _ := v.status()
	return s
}

// status returns the Status, and when it will be stale if nothing is confirmed until then; zero for never.
func (v *Value[T]) status() (s Status, staleAt time.Time) {
	c := v.state.health.Load()
	s = Status{
		Connected:      c.Connected,
		Since:          c.Since,
		LastError:      c.LastError,
		BadValue:       c.BadValue,
		Revision:       c.Revision,
		Holes:          c.Holes,
		Resets:         c.Resets,
		Updates:        c.Updates,
		DecodeErrors:   c.DecodeErrors,
		Reconnections:  c.Reconnections,
		Resyncs:        c.Resyncs,
		LastKnown:      c.LastKnown,
		LastKnownError: c.LastKnownError,
		Confirmed:      v.state.fresh.Confirmed.Load().Began,
	}
	var opened time.Time
	s.Watchers, opened = v.supply.users()
	if limit := v.state.config.MaxStaleness; limit > 0 && s.Watchers > 0 {
		known := s.Confirmed
		if known.Before(opened) {
			known = opened
		}
		staleAt = known.Add(limit)
		s.Stale = !time.Now().Before(staleAt)
	}
	return s, staleAt
}

// StatusChanges yields the Status: first the present one, then each change of Connected, LastError, BadValue, Stale, LastKnown, LastKnownError,
// Holes, Resets, Resyncs or whether a watcher is open, until ctx ends or the loop stops. If several changes come while the loop is busy, it gets
// the newest Status. The sequence may be iterated more than once and concurrently. It keeps nothing open: while no watcher is open, it reports that nothing is
// connected.
func (v *Value[T]) StatusChanges(ctx context.Context) iter.Seq[Status] {
	return func(yield func(Status) bool) {
		var last Status
		for first := true; ctx.Err() == nil; {
			changed, confirmed := v.state.health.Changed(), v.state.fresh.Confirmed.Load()
			s, staleAt := v.status()
			if first || s.differs(&last) {
				if !yield(s) {
					return
				}
				first, last = false, s
				continue // it may have changed meanwhile
			}
			v.awaitStatus(ctx, s, staleAt, changed, confirmed)
		}
	}
}

// awaitStatus returns when the Status s may have changed.
func (v *Value[T]) awaitStatus(ctx context.Context, s Status, staleAt time.Time, changed <-chan struct{}, confirmed *upstream.Confirmation) {
	var stale <-chan time.Time
	var fresh <-chan struct{}
	switch {
	case s.Stale:
		fresh = confirmed.Next
	case !staleAt.IsZero():
		timer := time.NewTimer(time.Until(staleAt))
		defer timer.Stop()
		stale = timer.C
	}
	select {
	case <-changed:
	case <-fresh:
	case <-stale:
	case <-ctx.Done():
	}
}

// differs reports whether the Status has changed, other than by what changes all the time.
func (s *Status) differs(last *Status) bool {
	return s.Connected != last.Connected || textOf(s.LastError) != textOf(last.LastError) || s.BadValue != last.BadValue ||
		s.Stale != last.Stale || s.LastKnown != last.LastKnown || textOf(s.LastKnownError) != textOf(last.LastKnownError) || s.Holes != last.Holes || s.Resets != last.Resets || s.Resyncs != last.Resyncs ||
		(s.Watchers > 0) != (last.Watchers > 0)
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
