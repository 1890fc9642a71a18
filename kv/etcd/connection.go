package etcd

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

// connection is the connection of a client to its members. While a watch is open, a goroutine observes it. The goroutine does two
// things that etcd's client does not do. It ends gRPC's delays, which grow to two minutes, when they outlast an outage. And
// it makes one read after each outage, because a watch that etcd's client resumes does not report that the server has lost its data.
type connection struct {
	client context.Context       // ends with the client
	conn   *grpc.ClientConn      // nil if it is not known
	look   func(context.Context) // makes the read after an outage
	attempts

	mu sync.Mutex
	// connectedNow is when connectNow last made the client connect.
	connectedNow time.Time
	watches      int       // how many are open
	observer     *observer // nil while no watch is open
}

// observer is what runs while watches are open.
type observer struct {
	ctx      context.Context
	end      context.CancelFunc
	running  sync.WaitGroup
	doubting bool // guarded by connection.mu
}

const (
	// connectEvery is the shortest time between two calls of connectNow that do something.
	connectEvery = 3 * time.Second
	// connectIn is how long connect waits for the attempt.
	connectIn = 200 * time.Millisecond
)

// isConnected reports whether the client has a connection, as far as is known.
func (c *connection) isConnected() bool {
	return c.conn == nil || c.conn.GetState() == connectivity.Ready
}

// connect makes a client that is not connected try to connect now, and waits a moment for the attempt.
func (c *connection) connect(ctx context.Context) {
	if !c.connectNow() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, connectIn)
	defer cancel()
	c.conn.WaitForStateChange(ctx, connectivity.TransientFailure)
}

// connectNow makes a client that is not connected try to connect now, and reports whether it has. All Stores of the client together
// do that every connectEvery at most, so that a server that comes back is not flooded.
func (c *connection) connectNow() bool {
	if c.conn.GetState() != connectivity.TransientFailure {
		return false
	}
	c.mu.Lock()
	due := time.Since(c.connectedNow) >= connectEvery
	if due {
		c.connectedNow = time.Now()
	}
	c.mu.Unlock()
	if due {
		c.conn.ResetConnectBackoff()
	}
	return due
}

// use counts a watch. The first one begins to observe the connection.
func (c *connection) use() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watches++; c.watches > 1 {
		return
	}
	o := new(observer)
	o.ctx, o.end = context.WithCancel(c.client)
	c.observer = o
	if c.conn != nil {
		o.running.Go(func() { c.observe(o.ctx) })
	}
}

// release undoes a use. The last one ends the observer, and waits for it.
func (c *connection) release() {
	c.mu.Lock()
	o := c.observer
	if c.watches--; c.watches > 0 {
		c.mu.Unlock()
		return
	}
	c.observer = nil
	c.mu.Unlock()
	o.end()
	o.running.Wait()
}

// doubt calls look once, unless such a call is under way. A watch has begun at a member whose revision is lower than a revision that the
// Store knows. The member may lag behind others, or have lost its data. The caller has an open watch.
func (c *connection) doubt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.observer
	if o.doubting {
		return
	}
	o.doubting = true
	o.running.Go(func() {
		c.look(o.ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		o.doubting = false
	})
}

// observe calls look each time the client is connected again, until ctx ends.
func (c *connection) observe(ctx context.Context) {
	for first := true; c.waitReady(ctx); first = false {
		connected, lost := context.WithCancel(ctx)
		var calls sync.WaitGroup
		if !first {
			calls.Go(func() { c.look(connected) })
		}
		c.conn.WaitForStateChange(ctx, connectivity.Ready)
		lost()
		calls.Wait()
	}
}

// waitReady waits until the client is connected, and makes it try again every connectDelay. It returns false when ctx ends.
func (c *connection) waitReady(ctx context.Context) bool {
	again := time.Now().Add(jittered(connectDelay))
	for ctx.Err() == nil {
		state := c.conn.GetState()
		if state == connectivity.Ready {
			return true
		}
		wait, cancel := context.WithDeadline(ctx, again)
		c.conn.WaitForStateChange(wait, state)
		cancel()
		if !time.Now().Before(again) {
			c.connectNow()
			again = time.Now().Add(jittered(connectDelay))
		}
	}
	return false
}

// jittered returns d, longer or shorter by up to a fifth, so that the clients of one server do not connect in step.
func jittered(d time.Duration) time.Duration { return d*4/5 + rand.N(d*2/5) }

const (
	// lookWithin bounds each read of look.
	lookWithin = 5 * time.Second
	// mostLooks is how often look reads if it gets no answer. The rests between are restAfter and its double.
	mostLooks = 3
)

// look makes one small read after an outage, of a key that a watch is open for. What the answer says about the history is
// known to all Stores of the client then. A watch that is being opened needs no read: the answer to it says the same. A
// cluster may have no leader yet, so look reads again.
func (s *shared) look(ctx context.Context) {
	for n, rest := 0, restAfter; n < mostLooks; n, rest = n+1, 2*rest {
		p := s.lanes.anyCanary()
		if p == nil || s.lookOnce(ctx, p) {
			return
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return
		}
	}
}

// lookOnce reports whether the read was answered.
func (s *shared) lookOnce(ctx context.Context, p *probe) bool {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	asked := s.identity.ask()
	resp, err := get(ctx, p.client, p.key, clientv3.WithCountOnly())
	if err != nil {
		return false
	}
	s.identity.answered(asked, resp.Header)
	return true
}
