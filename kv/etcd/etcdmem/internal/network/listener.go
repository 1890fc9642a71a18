package network

import (
	"net"
	"os"
	"sync"
	"syscall"
)

// backlog is how many connections may wait to be accepted: the least that etcd lets its kernel keep.
const backlog = 128

// A listener accepts the connections to one address.
type listener struct {
	network *Network
	address string

	mu      sync.Mutex
	changed sync.Cond // on mu
	closed  bool
	frozen  bool
	waiting []*connection
}

// Listen accepts connections to an address, until the listener is closed. Nothing may listen there already.
func (n *Network) Listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[address]
	switch {
	case n.closed:
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: addr(address), Err: net.ErrClosed}
	case h == nil:
		h = new(host)
		n.hosts[address] = h
	case h.listener != nil:
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: addr(address), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &listener{network: n, address: address}
	l.changed.L = &l.mu
	h.listener, h.frozen = l, false
	n.announce()
	return l, nil
}

// offer adds a connection that waits to be accepted.
func (l *listener) offer(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, c)
	l.changed.Broadcast()
}

// full reports whether new connections have to wait.
func (l *listener) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) >= backlog
}

func (l *listener) freeze(frozen bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = frozen
	l.changed.Broadcast()
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	for !l.closed && (l.frozen || len(l.waiting) == 0) {
		l.changed.Wait()
	}
	if l.closed {
		l.mu.Unlock()
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	wasFull := len(l.waiting)+1 == backlog
	l.mu.Unlock()
	if wasFull {
		l.network.mu.Lock()
		l.network.announce()
		l.network.mu.Unlock()
	}
	return c.member, nil
}

// Close implements net.Listener. Connections that were not accepted are reset.
func (l *listener) Close() error {
	n := l.network
	n.mu.Lock()
	if h := n.hosts[l.address]; h.listener == l {
		h.listener, h.frozen = nil, false
		n.announce()
	}
	n.mu.Unlock()
	l.mu.Lock()
	was := l.closed
	l.closed = true
	waiting := l.waiting
	l.waiting = nil
	l.changed.Broadcast()
	l.mu.Unlock()
	if was {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	for _, c := range waiting {
		c.pipes[answers].finish(reset, true)
		c.member.Close()
	}
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return addr(l.address) }
