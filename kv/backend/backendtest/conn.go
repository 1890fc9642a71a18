package backendtest

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

// conn is the client's end of a connection over a link. While the link passes everything, it adds nothing to the connection but a look at
// the link: no goroutine and no copy.
type conn struct {
	net.Conn      // to the server
	link          *Link
	broken        atomic.Bool   // by the link
	closed        chan struct{} // closed by Close
	once          sync.Once
	byRead, until deadline // of Read and of Write

	reading sync.Mutex // held by Read
	held    []byte     // read from the server, and not delivered
	heldErr error      // what follows held

	writing sync.Mutex // held by Write
	unsent  []byte     // written by the client, and not sent
}

// most is how much a client can write while nothing is sent.
const most = 1 << 20

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if len(c.held) == 0 && c.heldErr == nil {
		n, err := c.Conn.Read(b)
		if c.link.passing() || errors.Is(err, os.ErrDeadlineExceeded) {
			return n, c.why("read", err)
		}
		c.held, c.heldErr = append(c.held, b[:n]...), err // it came after all was to be swallowed
	}
	if err := c.pass(&c.byRead); err != nil {
		return 0, c.why("read", err)
	}
	if len(c.held) > 0 {
		n := copy(b, c.held)
		c.held = c.held[n:]
		return n, nil
	}
	return 0, c.why("read", c.heldErr)
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.link.passing() {
		if len(c.unsent) < most {
			c.unsent = append(c.unsent, b...)
			return len(b), c.why("write", nil)
		}
		if err := c.pass(&c.until); err != nil {
			return 0, c.why("write", err)
		}
	}
	if err := c.send(); err != nil {
		return 0, c.why("write", err)
	}
	n, err := c.Conn.Write(b)
	return n, c.why("write", err)
}

// send sends what is unsent. It is called with writing held.
func (c *conn) send() error {
	if len(c.unsent) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.unsent)
	c.unsent = nil
	return err
}

// pass waits until the link lets through what is sent.
func (c *conn) pass(d *deadline) error {
	for {
		whole := c.link.swallows()
		if whole == nil || c.broken.Load() {
			return nil
		}
		select {
		case <-whole:
		case <-d.passed():
			return &net.OpError{Op: "wait", Net: "link", Err: os.ErrDeadlineExceeded}
		case <-c.closed:
			return net.ErrClosed
		}
	}
}

// heal sends what is unsent, and tells the server if the client has closed the connection.
func (c *conn) heal() {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.send()
	select {
	case <-c.closed:
		c.end()
	default:
	}
}

// Close implements net.Conn. The server learns of it when the link passes everything.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	if c.link.passing() {
		c.end()
	} else {
		c.Conn.SetReadDeadline(time.Unix(1, 0)) // ends a running Read
	}
	return nil
}

// end ends the connection to the server.
func (c *conn) end() {
	c.link.forget(c)
	c.Conn.Close()
}

// reset ends the connection on both sides.
func (c *conn) reset() {
	c.broken.Store(true)
	c.Conn.Close()
}

// why returns err as TCP would name it.
func (c *conn) why(op string, err error) error {
	select {
	case <-c.closed:
		return &net.OpError{Op: op, Net: "link", Err: net.ErrClosed}
	default:
	}
	ended := err != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed))
	if c.broken.Load() && (err == nil && op == "write" || ended) {
		return &net.OpError{Op: op, Net: "link", Err: syscall.ECONNRESET}
	}
	return err
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.byRead.set(t)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.until.set(t)
	return c.Conn.SetWriteDeadline(t)
}

// deadline is a time after which a call ends. The zero deadline is none.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	done  chan struct{} // closed when the time has come
}

// passed returns a channel that is closed when the time has come. A deadline that is set later concerns it too.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.channel()
}

// channel is called with mu held.
func (d *deadline) channel() chan struct{} {
	if d.done == nil {
		d.done = make(chan struct{})
	}
	return d.done
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		d.done = nil // it has come, or is coming
	}
	d.timer = nil
	if t.IsZero() {
		return
	}
	done := d.channel()
	d.timer = time.AfterFunc(time.Until(t), func() { close(done) })
}
