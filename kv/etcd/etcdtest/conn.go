package etcdtest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A conn is a client's end of a connection to a member. Until the first fault touches the connection, conn only adds a check of queued
// to each call. After that, all bytes pass through queues, even when the fault is over. A goroutine for each direction, a pump, moves
// the bytes between a queue and the member.
type conn struct {
	member    net.Conn
	network   *Network
	route     *route
	forgotten bool // silent, never mended; guarded by Network.mu

	queued atomic.Bool // set once, by pass
	queues [2]*queue   // by direction
	sides  [2]side     // by direction

	mu     sync.Mutex
	closed bool  // by the client
	broken error // set by a fault, or when the member has closed its end
}

// A side has the state of one direction of a connection.
type side struct {
	turn sync.Mutex // held by a call that bypasses the queue, and to start the pump

	mu     sync.Mutex
	pumped bool // a pump owns this direction of the member's connection
}

func newConn(member net.Conn, n *Network, r *route) *conn {
	return &conn{
		member:  member,
		network: n,
		route:   r,
		queues:  [2]*queue{requests: newQueue(writing), answers: newQueue(reading)},
	}
}

// pass changes what the network does with the bytes. The caller holds Network.mu.
func (c *conn) pass(passages [2]passage) {
	for d, q := range c.queues {
		q.pass(passages[d])
	}
	if !passages[requests].clear() || !passages[answers].clear() {
		c.queued.Store(true)
	}
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if done, n, err := c.writeThrough(b); done {
		return n, c.explain("write", err)
	}
	n, err := c.queues[requests].put(b)
	return n, c.explain("write", err)
}

// writeThrough writes directly to the member, unless the queue is in use.
func (c *conn) writeThrough(b []byte) (done bool, n int, err error) {
	side := &c.sides[requests]
	side.turn.Lock()
	defer side.turn.Unlock()
	if !c.queued.Load() {
		n, err = c.member.Write(b)
		return true, n, err
	}
	c.startPump(requests)
	return false, 0, nil
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if done, n, err := c.readThrough(b); done {
		return n, c.explain("read", err)
	}
	n, err := c.queues[answers].take(b)
	return n, c.explain("read", err)
}

// readThrough reads directly from the member, unless the queue is in use. Bytes that arrive after a fault has begun go to the queue.
func (c *conn) readThrough(b []byte) (done bool, n int, err error) {
	side := &c.sides[answers]
	side.turn.Lock()
	defer side.turn.Unlock()
	if !c.queued.Load() {
		n, err = c.member.Read(b)
		if !c.queued.Load() || errors.Is(err, os.ErrDeadlineExceeded) {
			return true, n, err
		}
		c.queues[answers].hold(b[:n])
		if err != nil {
			c.queues[answers].finish(err)
		}
	}
	c.startPump(answers)
	return false, 0, nil
}

// startPump starts the pump of a direction if it does not run yet. The caller holds the turn.
func (c *conn) startPump(d direction) {
	side := &c.sides[d]
	side.mu.Lock()
	defer side.mu.Unlock()
	if side.pumped {
		return
	}
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.network.closed { // Network.close does not wait for new pumps
		return
	}
	side.pumped = true
	if d == requests {
		c.member.SetWriteDeadline(time.Time{})
		c.network.pumps.Go(c.pumpRequests)
	} else {
		c.member.SetReadDeadline(time.Time{})
		c.network.pumps.Go(c.pumpAnswers)
	}
}

func (c *conn) pumpRequests() {
	buf := make([]byte, 16<<10)
	for {
		n, err := c.queues[requests].take(buf)
		if err != nil { // io.EOF means that the client's Close has reached the member
			c.abort(err)
			return
		}
		if _, err := c.member.Write(buf[:n]); err != nil {
			c.abort(syscall.ECONNRESET) // the answer of a member that does not know the connection
			return
		}
	}
}

func (c *conn) pumpAnswers() {
	buf := make([]byte, 16<<10)
	for {
		n, err := c.member.Read(buf)
		if _, err := c.queues[answers].put(buf[:n]); err != nil {
			return
		}
		if err != nil {
			c.queues[answers].finish(err)
			return
		}
	}
}

// abort breaks the connection at both ends at once.
func (c *conn) abort(err error) {
	c.mu.Lock()
	if c.broken == nil {
		c.broken = err
	}
	c.mu.Unlock()
	for _, q := range c.queues {
		q.fail(err)
	}
	c.member.Close()
	c.network.drop(c)
}

// explain returns the error of a call. If the connection was closed or broken, the error says so.
func (c *conn) explain(op string, err error) error {
	if err == nil {
		return nil
	}
	c.mu.Lock()
	closed, broken := c.closed, c.broken
	c.mu.Unlock()
	switch {
	case closed:
		err = net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case broken != nil:
		err = broken
	}
	var is *net.OpError
	if err == io.EOF || errors.As(err, &is) {
		return err
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		err = os.NewSyscallError(op, err)
	}
	return &net.OpError{Op: op, Net: "unix", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close implements net.Conn. During a fault, the end of the connection reaches the member after the bytes that were written before.
func (c *conn) Close() error {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if was {
		return c.explain("close", net.ErrClosed)
	}
	if !c.queued.Load() {
		c.network.drop(c)
		for _, q := range c.queues { // a fault may have begun since the check
			q.fail(net.ErrClosed)
		}
		return c.member.Close()
	}

	c.queues[answers].fail(net.ErrClosed)
	c.interrupt(answers, c.member.SetReadDeadline)
	c.queues[requests].finish(io.EOF)
	c.interrupt(requests, c.member.SetWriteDeadline)
	side := &c.sides[requests]
	side.turn.Lock()
	defer side.turn.Unlock()
	c.startPump(requests)
	return nil
}

// interrupt ends the calls that bypass the queue, and the pump that reads.
func (c *conn) interrupt(d direction, setDeadline func(time.Time) error) {
	side := &c.sides[d]
	side.mu.Lock()
	defer side.mu.Unlock()
	if d == answers || !side.pumped {
		setDeadline(time.Unix(1, 0))
	}
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(answers, c.member.SetReadDeadline, t)
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(requests, c.member.SetWriteDeadline, t)
}

func (c *conn) setDeadline(d direction, set func(time.Time) error, t time.Time) error {
	c.queues[d].setDeadline(t)
	side := &c.sides[d]
	side.mu.Lock()
	defer side.mu.Unlock()
	if side.pumped {
		return nil
	}
	return c.explain("set", set(t))
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.member.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.member.RemoteAddr() }
