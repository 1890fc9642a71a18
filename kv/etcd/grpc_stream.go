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

// lane is a gRPC stream of etcd's client. The client puts watches with the same metadata into one stream. Watches of this
// package have a metadata key that no other watch of the program has, because another watch in the stream could end them, or
// keep bookmarks from them.
//
// etcd's client sends the requests for watches of one stream one at a time, each after the server has acknowledged
// the previous one. So if the server of a stream is gone, every later watch of the stream waits, and nothing reports it.
type lane struct {
	number uint64
	turn   chan struct{} // holds a token while a request for a watch waits for its acknowledgement
	left   chan struct{} // closed when new watches begin in another lane
	dead   chan struct{} // closed when running watches have to begin again in another lane

	moved atomic.Int64 // when the server last acknowledged a watch of the lane, in nanoseconds since started
	heard atomic.Int64 // when the lane last received anything, likewise

	// Guarded by lanes.mu.

	watches int    // how many sources are open
	canary  *probe // requests a watch that this client is allowed to have
	cause   error  // why dead is closed
	pulsing bool   // a pulse is under way
}

// context returns ctx as the context of a watch in l.
func (l *lane) context(ctx context.Context) context.Context {
	ctx = metadata.AppendToOutgoingContext(ctx, "watchkv-stream", strconv.FormatUint(l.number, 10))
	return clientv3.WithRequireLeader(ctx)
}

// started is the zero of the times of lanes.
var started = time.Now()

func sinceStart() int64 { return int64(time.Since(started)) }

// hear notes that the lane has received something.
func (l *lane) hear() { l.heard.Store(sinceStart()) }

// acknowledge notes that the server has answered a request for a watch.
func (l *lane) acknowledge() {
	now := sinceStart()
	l.moved.Store(now)
	l.heard.Store(now)
}

// laneNumbers numbers the lanes of all clients, except the first lane of each, which is number zero. If two Stores have one client
// and cannot know it, they share the first lane only.
var laneNumbers atomic.Uint64

func newLane(number uint64) *lane {
	l := &lane{number: number, turn: make(chan struct{}, 1), left: make(chan struct{}), dead: make(chan struct{})}
	l.acknowledge()
	return l
}

// lanes are the lanes of one client. All Stores of the client share them.
type lanes struct {
	isConnected func() bool // whether the client has a connection, as far as is known

	mu      sync.Mutex
	current *lane // in which new watches begin
	// running are the lanes with an open source.
	running map[*lane]struct{}
	// leaves counts how often the current lane was left in a row because nothing was acknowledged.
	leaves int
}

const (
	// acknowledgeWithin is how long a server may take to acknowledge a watch. After that, later watches begin in another
	// lane, and this watch is requested in both. After quickLeaves the time doubles with each leave, because the network may be slow.
	acknowledgeWithin = 2 * time.Second
	quickLeaves       = 3
	// mostLeaves bounds how many lanes are left in a row. The gRPC balancer gives each lane the next connection, so
	// all connections have been tried by then.
	mostLeaves = 6
	// overtakenFor is how long a lane may owe an answer after a lane that was asked later has answered.
	overtakenFor = time.Second
	// quietFor is how long a lane must have been silent before a read begins a pulse.
	quietFor = 2 * time.Second
)

func newLanes(isConnected func() bool) *lanes {
	return &lanes{isConnected: isConnected, current: newLane(0), running: make(map[*lane]struct{})}
}

// now returns the lane in which new watches begin.
func (ls *lanes) now() *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.current
}

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

// use counts a source in l. While l is in use, others may request progress in it, and may check whether it is alive.
func (ls *lanes) use(l *lane, canary *probe) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.watches++
	l.canary = canary
	ls.running[l] = struct{}{}
}

// release undoes one use.
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

// anyCanary returns the canary of some lane. It returns nil if no lane is in use.
func (ls *lanes) anyCanary() *probe {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.running {
		return l.canary
	}
	return nil
}

// kill ends the watches that run in l with cause, and makes later watches begin in another lane.
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
