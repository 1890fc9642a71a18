package etcdtest

import (
	"sync"
	"time"
)

// A rate is a line of limited speed that several connections share. Each sends a piece when the pieces before it are
// through.
type rate struct {
	perSecond int

	mu   sync.Mutex
	free time.Time // when the line has sent all that was reserved
}

// lateness is how far behind its schedule a line may be without losing what it could have sent: timers are late.
const lateness = 20 * time.Millisecond

func newRate(bytesPerSecond int) *rate { return &rate{perSecond: bytesPerSecond} }

// reserve returns how many of n bytes to send next, and when they are through.
func (r *rate) reserve(now time.Time, n int) (granted int, through time.Time) {
	// Small pieces, so that connections share the line and not its turns.
	granted = min(n, max(1, r.perSecond/100), 16<<10)
	r.mu.Lock()
	defer r.mu.Unlock()
	if earliest := now.Add(-lateness); r.free.Before(earliest) {
		r.free = earliest
	}
	r.free = r.free.Add(time.Duration(granted) * time.Second / time.Duration(r.perSecond))
	return granted, r.free
}
