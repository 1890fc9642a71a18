package etcdtest

import (
	"sync"
	"time"
)

// A rate is a line of limited speed that several connections share. A connection sends a piece when the earlier pieces have
// passed the line.
type rate struct {
	perSecond int

	mu   sync.Mutex
	free time.Time // when all reserved bytes have passed the line
}

// lateness is how far a line may fall behind its schedule and still catch up, because timers fire late.
const lateness = 20 * time.Millisecond

func newRate(bytesPerSecond int) *rate { return &rate{perSecond: bytesPerSecond} }

// reserve returns how many of n bytes to send next, and when they have passed the line.
func (r *rate) reserve(now time.Time, n int) (granted int, through time.Time) {
	// The pieces are small, so that concurrent connections share the line evenly.
	granted = min(n, max(1, r.perSecond/100), 16<<10)
	r.mu.Lock()
	defer r.mu.Unlock()
	if earliest := now.Add(-lateness); r.free.Before(earliest) {
		r.free = earliest
	}
	r.free = r.free.Add(time.Duration(granted) * time.Second / time.Duration(r.perSecond))
	return granted, r.free
}
