package network

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
)

// A Network connects clients with the addresses of members. Make one with [New]. All methods may be called concurrently.
type Network struct {
	seed uint64

	mu      sync.Mutex
	closed  bool
	hosts   map[string]*host  // by address
	clients map[string]string // the IP address of each client's host, by its name
	faults  map[link]*faults
	conns   map[*connection]bool // the connections that are open at an end
	made    uint64               // how many connections were made
	changed chan struct{}        // closed and replaced when a fault or a host changes
}

// A link is the way between a client's host and an address. If from is empty, it stands for the links of all clients.
type link struct{ from, to string }

// A host is what is at an address.
type host struct {
	listener *listener // nil if its process does not run
	frozen   bool
}

// New returns a network without faults. The seed decides everything that is random in it.
func New(seed uint64) *Network {
	return &Network{
		seed:    seed,
		hosts:   make(map[string]*host),
		clients: make(map[string]string),
		faults:  make(map[link]*faults),
		conns:   make(map[*connection]bool),
		changed: make(chan struct{}),
	}
}

// connect makes a connection over l. The caller adds it to the connections of the listener. The caller holds mu.
func (n *Network) connect(l link) *connection {
	n.made++
	c := &connection{number: n.made, link: l}
	for d := range c.pipes {
		c.pipes[d] = newPipe(rand.New(rand.NewPCG(n.seed, 2*n.made+uint64(d))))
	}
	from, to := n.clientAddr(l.from), addr(l.to)
	c.client = &conn{network: n, of: c, in: c.pipes[answers], out: c.pipes[requests], local: from, remote: to}
	c.member = &conn{network: n, of: c, in: c.pipes[requests], out: c.pipes[answers], local: to, remote: from}
	c.pipes[requests].gaveUp = c.client.timeOut
	c.pipes[answers].gaveUp = c.member.timeOut
	c.pass(n.passages(l))
	c.freeze(n.hosts[l.to].frozen)
	n.conns[c] = true
	return c
}

// clientAddr returns an address for a client's end of a new connection. The caller holds mu.
func (n *Network) clientAddr(name string) net.Addr {
	ip, ok := n.clients[name]
	if !ok {
		ip = fmt.Sprintf("10.1.%d.%d", (len(n.clients)+1)>>8, (len(n.clients)+1)&0xff)
		n.clients[name] = ip
	}
	const first, ports = 32768, 28232 // as Linux has them
	return addr(fmt.Sprintf("%s:%d", ip, first+n.made%ports))
}

// addr returns address in the form of package net.
func addr(address string) net.Addr {
	if a, err := netip.ParseAddrPort(address); err == nil {
		return net.TCPAddrFromAddrPort(a)
	}
	return name(address)
}

// name is an address with a name in it.
type name string

func (name) Network() string  { return "tcp" }
func (a name) String() string { return string(a) }

// announce makes the calls that wait for a change look again. The caller holds mu.
func (n *Network) announce() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// drop forgets a connection that has ended.
func (n *Network) drop(c *connection) {
	for _, p := range c.pipes {
		p.stop()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

// closedOne is called when one end of a connection has been closed.
func (n *Network) closedOne(c *connection) {
	if c.client.isClosed() && c.member.isClosed() {
		n.drop(c)
	}
}

// Connections returns the number of connections that are open at one end or both.
func (n *Network) Connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// Close closes all listeners and breaks all connections. Every later dial fails.
func (n *Network) Close() {
	n.mu.Lock()
	n.closed = true
	var listeners []*listener
	for _, h := range n.hosts {
		if h.listener != nil {
			listeners = append(listeners, h.listener)
		}
	}
	conns := n.To().conns()
	n.announce()
	n.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	for _, c := range conns {
		c.abort(net.ErrClosed)
	}
}
