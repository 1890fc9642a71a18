package value

import (
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// stalenessLimit is what a watcher needs for [WithMaxStaleness].
type stalenessLimit struct {
	most    time.Duration
	opened  time.Time // when the watcher was
	staleAt time.Time // when it returned ErrStale last
}

// check reports whether what is confirmed is too old to be returned, and in how long ErrStale is to be returned.
func (l *stalenessLimit) check(confirmed *upstream.Confirmation) (stale bool, due time.Duration) {
	if l == nil {
		return false, 0
	}
	known := confirmed.Began
	if known.Before(l.opened) {
		known = l.opened // no read can have been answered for this watcher before
	}
	if age := time.Since(known); age < l.most {
		return false, l.most - age
	}
	returned := known
	if returned.Before(l.staleAt) {
		returned = l.staleAt
	}
	return true, l.most - time.Since(returned)
}

// err is ErrStale for a Get of a range.
func (l *stalenessLimit) err(r kv.Range, confirmed *upstream.Confirmation) error {
	if confirmed.Began.Before(l.opened) {
		return fmt.Errorf("value: get %v: %w: not since the watcher was opened, %v ago", r, ErrStale, time.Since(l.opened).Round(time.Millisecond))
	}
	return fmt.Errorf("value: get %v: %w: for %v", r, ErrStale, time.Since(confirmed.Began).Round(time.Millisecond))
}
