package etcd

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// lane is a gRPC stream of etcd's client. The client gives watches of the same metadata one stream. Watches of this
// package have a metadata key that no other watch of the program has: another watch could end theirs, or keep progress
// from them.
//
// etcd's client sends the requests for watches of one stream one after the other, each when the server has acknowledged
// the one before. A stream whose server is gone therefore keeps every later watch waiting, and nothing reports it.
type lane struct {
	number uint64
	turn   chan struct{} // holds a token while a request for a watch waits for its acknowledgement
	left   chan struct{} // closed when new watches begin in another lane
	dead   chan struct{} // closed when running watches have to begin again in another lane

	moved atomic.Int64 // when the server last acknowledged a watch of the lane, in nanoseconds since started
	heard atomic.Int64 // when anything was last received in it, likewise

	// Guarded by lanes.mu.

	watches int    // how many sources are open
	canary  *probe // how to ask for a watch that this client is allowed to have
	cause   error  // why dead is closed
	pulsing bool   // a pulse is under way
}

// context returns the context to open a watch in l with.
func (l *lane) context(ctx context.Context) context.Context {
	ctx = metadata.AppendToOutgoingContext(ctx, "watchkv-stream", strconv.FormatUint(l.number, 10))
	return clientv3.WithRequireLeader(ctx)
}

// started is what the times of lanes are counted from.
var started = time.Now()

func sinceStart() int64 { return int64(time.Since(started)) }

// hear notes that the lane has brought something.
func (l *lane) hear() { l.heard.Store(sinceStart()) }

// acknowledge notes that the server has answered a request for a watch.
func (l *lane) acknowledge() {
	now := sinceStart()
	l.moved.Store(now)
	l.heard.Store(now)
}

// laneNumbers numbers the lanes of all clients but the first of each, which is number zero. The Stores of a client that
// is not recognized as the same use different lanes once they have left the first.
var laneNumbers atomic.Uint64

func newLane(number uint64) *lane {
	l := &lane{number: number, turn: make(chan struct{}, 1), left: make(chan struct{}), dead: make(chan struct{})}
	l.acknowledge()
	return l
}

// lanes are those of one client. All Stores of the client share them.
type lanes struct {
	isConnected func() bool // whether the client has a connection, as far as is known

	mu      sync.Mutex
	current *lane // that watches begin in
	// running are the lanes with an open source.
	running map[*lane]struct{}
	// leaves counts how often the current lane was left in a row because nothing was acknowledged.
	leaves int
}

const (
	// acknowledgeWithin is how long a server may take to acknowledge a watch, before later watches begin in another
	// lane, and this one in both. After quickLeaves it doubles each time, as the network may be slow.
	acknowledgeWithin = 2 * time.Second
	quickLeaves       = 3
	// mostLeaves bounds how many lanes are left in a row. The gRPC balancer gives each lane the next connection, so
	// by then all have been tried.
	mostLeaves = 6
	// overtakenFor is how long a lane may owe an answer that a later lane has given.
	overtakenFor = time.Second
	// quietFor is how long a lane has been silent when a read begins a pulse.
	quietFor = 2 * time.Second
)

func newLanes(isConnected func() bool) *lanes {
	return &lanes{isConnected: isConnected, current: newLane(0), running: make(map[*lane]struct{})}
}

// now returns the lane in which watches begin.
func (ls *lanes) now() *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.current
}

// refused has later watches begin in another lane than l, where a watch was refused. A gRPC stream keeps the token it was
// opened with, however long that has been invalid, and goes on returning the error of the refusal.
func (ls *lanes) refused(l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.leaveLocked(l)
}

// late has later watches begin in another lane than l, where the server does not acknowledge a watch. While the client
// has no connection there is no better lane.
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
}

// patience is how long a lane may acknowledge nothing.
func (ls *lanes) patience() time.Duration {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return acknowledgeWithin << max(0, ls.leaves-quickLeaves)
}

// waiting returns how much longer to wait for the acknowledgement of a watch that was asked for at begun; zero or less
// if that is late.
func (ls *lanes) waiting(l *lane, begun int64) time.Duration {
	since := max(begun, l.moved.Load())
	return ls.patience() - time.Duration(sinceStart()-since)
}

// use counts a source in l. Whoever uses a lane can ask it for progress, and ask whether it is alive.
func (ls *lanes) use(l *lane, canary *probe) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.watches++
	l.canary = canary
	ls.running[l] = struct{}{}
}

// release takes back a use.
func (ls *lanes) release(l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.watches--; l.watches == 0 {
		delete(ls.running, l)
	}
}

// isUsed reports whether l has an open source.
func (ls *lanes) isUsed(l *lane) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return l.watches > 0
}

// inUse returns the lanes that have an open source.
func (ls *lanes) inUse() []*lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	lanes := make([]*lane, 0, len(ls.running))
	for l := range ls.running {
		lanes = append(lanes, l)
	}
	return lanes
}

// anyCanary returns how to ask for something that the client is allowed to read; nil if no watch is open.
func (ls *lanes) anyCanary() *probe {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.running {
		return l.canary
	}
	return nil
}

// kill ends the watches that run in l, because of cause, and has later ones begin in another lane.
func (ls *lanes) kill(l *lane, cause error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.leaveLocked(l)
	if l.cause == nil {
		l.cause = cause
		close(l.dead)
	}
}

// why returns why l is dead.
func (ls *lanes) why(l *lane) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return l.cause
}
