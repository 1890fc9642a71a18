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

	moved atomic.Int64 // when the server last acknowledged a watch in it, in nanoseconds since started
	heard atomic.Int64 // when it last received anything, likewise

	// Guarded by lanes.mu.

	watches int           // how many sources are open in it
	canary  *probe        // requests a watch that this client is allowed to have
	cause   error         // why dead is closed
	pulsing bool          // a pulse is under way
	silence time.Duration // how long it may be silent after a lane that was asked later has answered
	asked   int64         // when it was asked for the answer that it was killed for not giving, in nanoseconds since started
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
	l := &lane{number: number, turn: make(chan struct{}, 1), left: make(chan struct{}), dead: make(chan struct{}), silence: overtakenFor}
	l.acknowledge()
	return l
}

// lanes are the lanes of one client. All Stores of the client share them.
type lanes struct {
	isConnected func() bool // whether the client has a connection, as far as is known

	mu      sync.Mutex
	current *lane // new watches begin in it
	// running are the lanes with an open source.
	running map[*lane]struct{}
	// leaves counts how often the current lane was left in a row because nothing was acknowledged.
	leaves int
	// slowest is how long a lane took to answer, at most, that was killed for its silence and has answered after all. It halves with each answer.
	slowest time.Duration
}

func newLanes(isConnected func() bool) *lanes {
	return &lanes{isConnected: isConnected, current: newLane(0), running: make(map[*lane]struct{})}
}

// now returns the lane in which new watches begin.
func (ls *lanes) now() *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.current
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
