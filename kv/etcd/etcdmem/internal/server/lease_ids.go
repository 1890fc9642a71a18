package server

import (
	"sync"
	"time"
)

// LeaseIDs chooses the identities of leases. As in etcd, those that a member chooses ascend. They begin with two bytes of the member's
// identity, and with the time at which the member was started. etcd relies on that time to choose no identity twice. But in a bubble a member
// may be stopped and started at the same time, or put back to an older state, so LeaseIDs remembers the last identities.
type LeaseIDs struct {
	mu   sync.Mutex
	last map[uint64]uint64 // by member
}

// next returns an identity for a lease that a member grants.
func (l *LeaseIDs) next(member uint64, started time.Time) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = make(map[uint64]uint64)
	}
	n := max(l.last[member], uint64(started.UnixMilli())<<8) + 1
	l.last[member] = n
	const numbered = 6 * 8 // bits; the rest is the member's
	return int64((member<<numbered | n&(1<<numbered-1)) &^ (1 << 63))
}
