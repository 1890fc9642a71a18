package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Network connects a cluster's clients with its members. [Cluster.Network] returns it. It works until one of its methods makes
// it fail, and it works again after [Network.Mend].
//
// It carries the connections of clients made by [Cluster.Client] or with [Cluster.ClientConfig], and those made by
// [Network.Dial]. In a cluster [WithProxies], it carries those of every client. The messages between members do not pass
// through it; see [Cluster.Partition].
//
// Each method changes the connections to the members that it names, or to all members if none is named. It returns at once.
// Faults of different kinds add up. They outlast restarts of the members. All methods may be called concurrently.
//
// During a fault, a Network holds as much as a kernel would: 64 KiB for each direction of a connection, and what the
// sockets of the members hold. A sender of more bytes blocks.
type Network struct {
	pumps sync.WaitGroup // the pumps of all connections

	mu      sync.Mutex
	closed  bool
	routes  []*route
	conns   map[*conn]bool // connections that are open, or whose end has not reached the member
	changed chan struct{}  // closed and replaced when a route changes, or the network is closed
}

// A direction is one of the two directions in which bytes travel.
type direction int

const (
	requests direction = iota // to the member
	answers                   // from the member
)

// A route leads to one member.
type route struct {
	socket string // where the member listens
	proxy  string // where its proxy listens, in a cluster WithProxies
	faults        // guarded by Network.mu
}

// faults are the current faults of a route.
type faults struct {
	swallow [2]bool // by direction
	refuse  bool
	delay   time.Duration
	rates   [2]*rate // by direction; nil is without limit
}

// passages returns what happens to the bytes of a connection, by direction.
func (f *faults) passages() [2]passage {
	var both [2]passage
	for d := range both {
		both[d] = passage{
			blocked: f.swallow[d],
			unheard: f.swallow[1-d],
			delay:   f.delay,
			rate:    f.rates[d],
		}
	}
	return both
}

// Network returns the network between the cluster's clients and its members.
func (c *Cluster) Network() *Network { return c.network }

func newNetwork() *Network {
	return &Network{conns: make(map[*conn]bool), changed: make(chan struct{})}
}

// add adds a route to the member that listens at socket. It must not be called concurrently with anything else.
func (n *Network) add(socket string) *route {
	r := &route{socket: socket}
	n.routes = append(n.routes, r)
	return r
}

// Swallow loses all packets in both directions, as if the machine or its cable were gone. Connections
// stay open and are silent. Writes to them succeed until 64 KiB are held, and then block. New connections hang until
// their context ends. A member that is stopped during this time also seems silent.
//
// After [Network.Mend], the bytes that were held are delivered in order, as TCP sends again what was not acknowledged. But they are
// delivered at once, without TCP's pause. If the client has closed a connection by then, it now ends for the member too.
func (n *Network) Swallow(members ...int) {
	n.alter(members, func(r *route) { r.swallow = [2]bool{true, true} })
}

// SwallowRequests loses packets on their way to the members, as [Network.Swallow] does. The answers still arrive, but
// only 64 KiB of each connection: the member gets no acknowledgements. New connections hang.
func (n *Network) SwallowRequests(members ...int) {
	n.alter(members, func(r *route) { r.swallow[requests] = true })
}

// SwallowAnswers loses packets on their way from the members, as [Network.Swallow] does. Members still do what clients ask
// for, but each connection delivers only another 64 KiB of requests. New connections hang.
func (n *Network) SwallowAnswers(members ...int) {
	n.alter(members, func(r *route) { r.swallow[answers] = true })
}

// Forget silences the existing connections for ever, like a firewall that has lost its state. New connections
// work at once. Nothing mends a forgotten connection, and the member never notices that its client has closed it.
func (n *Network) Forget(members ...int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.connsTo(members) {
		c.forgotten = true
		c.pass([2]passage{{blocked: true}, {blocked: true}})
	}
}

// Reset breaks the existing connections: reads and writes fail with syscall.ECONNRESET. Bytes that have not arrived yet are lost. New
// connections work.
func (n *Network) Reset(members ...int) {
	n.mu.Lock()
	conns := n.connsTo(members)
	n.mu.Unlock()
	for c := range conns {
		c.abort(syscall.ECONNRESET)
	}
}

// Refuse makes new connections fail with syscall.ECONNREFUSED. The existing connections still work.
func (n *Network) Refuse(members ...int) {
	n.alter(members, func(r *route) { r.refuse = true })
}

// Delay delays every byte by d in each direction: an answer takes 2d longer, and so does a new connection.
// It replaces an earlier Delay. A delay of zero ends the delay.
func (n *Network) Delay(d time.Duration, members ...int) {
	n.alter(members, func(r *route) { r.delay = d })
}

// Throttle carries at most that many bytes a second in each direction. All connections to the members of one call share
// the limit: Throttle(n) is one slow line to all members, and a call for each member gives each member its own line. It
// replaces an earlier Throttle. A limit of zero means no limit.
func (n *Network) Throttle(bytesPerSecond int, members ...int) {
	var rates [2]*rate
	if bytesPerSecond > 0 {
		rates = [2]*rate{newRate(bytesPerSecond), newRate(bytesPerSecond)}
	}
	n.alter(members, func(r *route) { r.rates = rates })
}

// Mend ends all faults. The network delivers what it has held. Connections that were reset or forgotten stay so.
func (n *Network) Mend(members ...int) {
	n.alter(members, func(r *route) { r.faults = faults{} })
}

// alter changes the routes to members.
func (n *Network) alter(members []int, change func(*route)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for r := range n.routesTo(members) {
		change(r)
	}
	for c := range n.connsTo(members) {
		if !c.forgotten {
			c.pass(c.route.passages())
		}
	}
	n.announce()
}

// routesTo returns the routes to members, or to all if none is given. It panics if there is no such member. The caller holds mu.
func (n *Network) routesTo(members []int) map[*route]bool {
	routes := make(map[*route]bool)
	for _, i := range members {
		routes[n.routes[i]] = true
	}
	if len(members) == 0 {
		for _, r := range n.routes {
			routes[r] = true
		}
	}
	return routes
}

// connsTo returns the connections to members. The caller holds mu.
func (n *Network) connsTo(members []int) map[*conn]bool {
	routes, conns := n.routesTo(members), make(map[*conn]bool)
	for c := range n.conns {
		if routes[c.route] {
			conns[c] = true
		}
	}
	return conns
}

// announce notifies the calls that wait for a route. The caller holds mu.
func (n *Network) announce() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// Dial connects to a member as a client does, through the network and its faults. The endpoint is one of
// [Cluster.Endpoints]. Dial can be passed to grpc.WithContextDialer, for clients that do not use
// [Cluster.ClientConfig].
func (n *Network) Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	address := strings.TrimPrefix(endpoint, proxyScheme)
	if path, ok := strings.CutPrefix(endpoint, "unix:"); ok {
		address = strings.TrimPrefix(path, "//")
	}
	for _, r := range n.routes {
		switch {
		case address == r.socket:
			return n.dial(ctx, r)
		case address == r.proxy && r.proxy != "": // the proxy uses the network
			return new(net.Dialer).DialContext(ctx, "tcp", r.proxy)
		}
	}
	return nil, fmt.Errorf("etcdtest: dial %s: it is not an endpoint of this cluster", endpoint)
}

func (n *Network) dial(ctx context.Context, r *route) (net.Conn, error) {
	if err := n.travel(ctx, r); err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: r.socket, Net: "unix"}, Err: err}
	}
	member, err := new(net.Dialer).DialContext(ctx, "unix", r.socket)
	if err != nil {
		return nil, err
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errors.Join(errClosed, member.Close())
	}
	c := newConn(member, n, r)
	n.conns[c] = true
	c.pass(r.passages())
	return c, nil
}

// travel waits until the first packet of a connection and its answer have passed the network.
func (n *Network) travel(ctx context.Context, r *route) error {
	began := time.Now()
	for {
		n.mu.Lock()
		now, closed, changed := r.faults, n.closed, n.changed
		n.mu.Unlock()
		left := time.Until(began.Add(2 * now.delay))
		switch {
		case closed:
			return errClosed
		case now.swallow[requests] || now.swallow[answers]:
			left = 0 // wait for a change
		case left > 0:
		case now.refuse:
			return os.NewSyscallError("connect", syscall.ECONNREFUSED)
		default:
			return nil
		}
		if err := waitFor(ctx, changed, left); err != nil {
			return err
		}
	}
}

// waitFor returns when changed is closed, or after d if d is not zero. It returns an error when ctx ends.
func waitFor(ctx context.Context, changed <-chan struct{}, d time.Duration) error {
	var passed <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-changed:
		return nil
	case <-passed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drop forgets a connection that has ended at both ends.
func (n *Network) drop(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

// close breaks the connections that a fault has touched, because their clients might be blocked. It also prevents new connections. It returns
// when no goroutine of the network runs. The other connections need no goroutine, and their owners close them.
func (n *Network) close() {
	n.mu.Lock()
	var touched []*conn
	for c := range n.conns {
		if c.queued.Load() {
			touched = append(touched, c)
		}
	}
	n.closed = true
	clear(n.conns)
	n.announce()
	n.mu.Unlock()
	for _, c := range touched {
		c.abort(errClosed)
	}
	n.pumps.Wait()
}
