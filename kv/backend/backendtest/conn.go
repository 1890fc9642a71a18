package backendtest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// conn is a connection over a link, between the client's end of a pipe and the server's connection. Two goroutines move the bytes of
// each direction: one from the sender into a queue, and one from the queue to the receiver, while the link lets it pass.
type conn struct {
	net.Conn // the client's end
	far      net.Conn
	server   net.Conn
	ended    context.Context // when the connection was reset, or has ended in both directions
	end      context.CancelFunc
	broken   atomic.Bool // by the link
}

// connect is called with mu held.
func (l *Link) connect(server net.Conn) *conn {
	c := &conn{server: server}
	c.Conn, c.far = net.Pipe()
	c.ended, c.end = context.WithCancel(context.Background())
	l.conns[c] = struct{}{}
	var directions sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{c.far: server, server: c.far} {
		q := &queue{changed: make(chan struct{}, 1)}
		directions.Go(func() { q.fill(c, from) })
		directions.Go(func() { q.drain(l, c, to) })
	}
	l.running.Go(func() {
		directions.Wait()
		c.end()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, c)
	})
	return c
}

// reset ends the connection on both sides.
func (c *conn) reset() {
	c.broken.Store(true)
	c.end()
	c.far.Close()
	c.server.Close()
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.why("read", err)
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.why("write", err)
}

// why returns the error of a connection that the link has ended as TCP would name it.
func (c *conn) why(op string, err error) error {
	if err != nil && c.broken.Load() && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)) {
		return &net.OpError{Op: op, Net: "link", Err: syscall.ECONNRESET}
	}
	return err
}

// LocalAddr and RemoteAddr are those of the server's connection: some clients dial its address again.
func (c *conn) LocalAddr() net.Addr  { return c.server.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr { return c.server.RemoteAddr() }

// queue is what was sent in one direction and not delivered yet.
type queue struct {
	changed chan struct{} // has a token when data or closed has changed

	mu     sync.Mutex
	data   []byte
	closed bool // nothing comes after data
	room   chan struct{}
}

// most is how much a queue holds, about: enough for what a client sends without an answer.
const most = 1 << 20

// fill takes what from has sent.
func (q *queue) fill(c *conn, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		q.mu.Lock()
		q.data = append(q.data, buffer[:n]...)
		q.closed = err != nil
		var room chan struct{}
		if len(q.data) > most {
			q.room = make(chan struct{})
			room = q.room
		}
		q.mu.Unlock()
		select {
		case q.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
		if room != nil {
			select {
			case <-room:
			case <-c.ended.Done():
				return
			}
		}
	}
}

// take empties the queue.
func (q *queue) take() (data []byte, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	data, q.data = q.data, nil
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	return data, q.closed
}

// drain delivers what is in the queue, and closes the receiver's connection when the sender has closed its own.
func (q *queue) drain(l *Link, c *conn, to net.Conn) {
	defer to.Close()
	for {
		select {
		case <-q.changed:
		case <-c.ended.Done():
			return
		}
		if l.passed(c.ended) != nil {
			return
		}
		data, closed := q.take()
		if len(data) > 0 { // a pipe waits for a reader of nothing, too
			if _, err := to.Write(data); err != nil {
				return
			}
		}
		if closed {
			return
		}
	}
}
