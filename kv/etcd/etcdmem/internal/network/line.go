package network

import (
	"sync"
	"time"
)

// A line has a limited speed. The connections of some links share it. They send small pieces in turn, so that no connection waits for the
// whole window of another one.
type line struct {
	perSecond int

	mu   sync.Mutex
	free time.Time // when the line has carried all that was reserved
}

// lateness is how far behind its schedule a line may be and still catch up. Real timers are late.
const lateness = 20 * time.Millisecond

func newLine(bytesPerSecond int) *line { return &line{perSecond: bytesPerSecond} }

// reserve returns how many of n bytes to send next, and when the line has carried them.
func (l *line) reserve(now time.Time, n int) (granted int, through time.Time) {
	granted = min(n, max(1, l.perSecond/100), 16<<10)
	l.mu.Lock()
	defer l.mu.Unlock()
	if earliest := now.Add(-lateness); l.free.Before(earliest) {
		l.free = earliest
	}
	l.free = l.free.Add(time.Duration(granted) * time.Second / time.Duration(l.perSecond))
	return granted, l.free
}
