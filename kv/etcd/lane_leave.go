package etcd

import "time"

const (
	// acknowledgeWithin is how long a server may take to acknowledge a watch. After that, later watches begin in another
	// lane, and this watch is requested in both. After quickLeaves the time doubles with each leave, because the network may be slow.
	acknowledgeWithin = 2 * time.Second
	quickLeaves       = 3
	// mostLeaves bounds how many lanes are left in a row. The gRPC balancer gives each lane the next connection, so
	// all connections have been tried by then.
	mostLeaves = 6
)

// refused makes later watches begin in another lane than l, because a watch in l was refused. A gRPC stream keeps the token that it
// was opened with. When that token becomes invalid, the stream refuses every later watch.
func (ls *lanes) refused(l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.leaveLocked(l)
}

// late makes later watches begin in another lane than l, because the server does not acknowledge a watch in l. While the client
// has no connection, no lane is better.
func (ls *lanes) late(l *lane) {
	if !ls.isConnected() {
		return
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l == ls.current && ls.leaves < mostLeaves {
		ls.leaves++
		ls.leaveLocked(l)
	}
}

func (ls *lanes) leaveLocked(l *lane) {
	if l == ls.current {
		ls.current = newLane(laneNumbers.Add(1))
		ls.current.silence = l.silence
		close(l.left)
	}
}

// acknowledged notes that a server has acknowledged a watch in l.
func (ls *lanes) acknowledged(l *lane) {
	l.acknowledge()
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l == ls.current {
		ls.leaves = 0
	}
	if took := time.Duration(sinceStart() - l.asked); l.cause == errSilentStream && took < silentAgain {
		ls.slowest = max(ls.slowest, took)
	}
}

// patience returns how long a lane may take to acknowledge a watch.
func (ls *lanes) patience() time.Duration {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return acknowledgeWithin << max(0, ls.leaves-quickLeaves)
}

// waiting returns how much longer to wait for the acknowledgement of a watch that was requested at begun. It returns zero or less
// if the acknowledgement is late.
func (ls *lanes) waiting(l *lane, begun int64) time.Duration {
	since := max(begun, l.moved.Load())
	return ls.patience() - time.Duration(sinceStart()-since)
}

// killLocked ends the watches that run in l with cause, and makes later watches begin in another lane.
func (ls *lanes) killLocked(l *lane, cause error) {
	ls.leaveLocked(l)
	if l.cause == nil {
		l.cause = cause
		close(l.dead)
	}
}

// reconnected makes later watches begin in another lane, because the client has new connections. A request for a watch may wait in the
// current lane for an old connection, and the lanes that were left say nothing of the new ones. The watches of quiet lanes end.
func (ls *lanes) reconnected() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.leaves = 0
	ls.leaveLocked(ls.current)
	for l := range ls.running {
		if time.Duration(sinceStart()-l.heard.Load()) > quietFor {
			ls.killLocked(l, errDeadConnection)
		}
	}
}

// why returns why l is dead.
func (ls *lanes) why(l *lane) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return l.cause
}
