package network

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A connection has two ends and a pipe for each direction.
type connection struct {
	number    uint64 // counts the connections in the order in which they were made
	link      link
	pipes     [2]*pipe // by direction
	client    *conn
	member    *conn
	forgotten bool // silent for ever; guarded by Network.mu
}

// A direction is one of the two directions in which bytes travel.
type direction int

const (
	requests direction = iota // to the member
	answers                   // from the member
)

// A conn is one end of a connection. It implements net.Conn, and CloseWrite as a TCP connection does.
type conn struct {
	network       *Network
	of            *connection
	in, out       *pipe
	local, remote net.Addr

	mu     sync.Mutex
	closed bool
}

// pass changes what the network does with the bytes.
func (c *connection) pass(passages [2]passage) {
	for d, p := range c.pipes {
		p.pass(passages[d])
	}
	c.bounce()
}

// bounce answers bytes that have arrived at a closed end with a reset, as a kernel does that does not know the connection.
func (c *connection) bounce() {
	for d, p := range c.pipes {
		if p.bouncing() {
			// Both directions fail at the same time. A program that could not write, and still waited for what it reads, might try again
			// and again without an end: time does not pass in a bubble meanwhile.
			p.refuse(c.pipes[1-d].reset())
		}
	}
}

// abort breaks the connection at both ends, at once.
func (c *connection) abort(err error) {
	for _, p := range c.pipes {
		p.fail(err)
	}
	c.network().drop(c)
}

func (c *connection) network() *Network { return c.client.network }

// freeze stops or continues the member's process.
func (c *connection) freeze(frozen bool) {
	c.pipes[requests].freeze(&c.pipes[requests].reader, frozen)
	c.pipes[answers].freeze(&c.pipes[answers].writer, frozen)
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.take(b)
	return n, c.explain("read", err)
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	n, bounced, err := c.out.write(b)
	if bounced {
		c.of.bounce()
	}
	if err == syscall.EPIPE {
		c.in.cutShort() // as in bounce: reads fail, too
	}
	return n, c.explain("write", err)
}

// Close implements net.Conn. The other end reads what was written, and then the end of it. If this end has not read everything, the
// other end's connection is reset.
func (c *conn) Close() error {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if was {
		return c.explain("close", net.ErrClosed)
	}
	end := fin
	if c.in.leave() {
		end = reset
	}
	c.out.finish(end, true)
	c.network.closedOne(c.of)
	return nil
}

// CloseWrite ends what this end writes. The other end can still write.
func (c *conn) CloseWrite() error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return c.explain("close", net.ErrClosed)
	}
	c.out.finish(fin, true)
	return nil
}

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// timeOut ends the connection at this end, as a kernel does that gets no acknowledgement. The other end does not learn of it, because
// nothing arrives there.
func (c *conn) timeOut() {
	c.out.failEnd(&c.out.writer, syscall.ETIMEDOUT)
	c.in.failEnd(&c.in.reader, syscall.ETIMEDOUT)
}

// explain returns err in the form of package net.
func (c *conn) explain(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		err = os.NewSyscallError(op, err)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	if c.isClosed() {
		return c.explain("set", net.ErrClosed)
	}
	c.in.setDeadline(&c.in.reader, t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if c.isClosed() {
		return c.explain("set", net.ErrClosed)
	}
	c.out.setDeadline(&c.out.writer, t)
	return nil
}
