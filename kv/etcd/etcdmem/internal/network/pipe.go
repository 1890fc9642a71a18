package network

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// window is how many bytes a direction of a connection holds: those on their way, and the unread ones.
	window = 64 << 10
	// retransmitFor is how long Linux sends unacknowledged bytes again, with the default of tcp_retries2.
	retransmitFor = 924600 * time.Millisecond
)

// A passage is what the network does with the bytes of one direction of a connection.
type passage struct {
	blocked bool          // nothing passes
	unheard bool          // no acknowledgement comes back
	delay   time.Duration // for each byte
	jitter  time.Duration // the most that is added to delay for a write
	line    *line         // nil is without limit
}

// A pipe is one direction of a connection. One end writes, the other reads. Positions in it count bytes from its beginning:
// acked <= read <= arrived <= written, and heard <= arrived.
type pipe struct {
	random *rand.Rand // for the jitter; guarded by mu

	mu      sync.Mutex
	changed sync.Cond // on mu: anything below has changed
	passage passage
	buffer  *[]byte // the memory of data, from buffers; nil while nothing is unread
	data    []byte  // the unread bytes begin at off
	off     int
	written int64 // by the writer
	arrived int64 // in the kernel of the reader
	read    int64 // by the reader
	acked   int64 // room in the window that the writer knows to be free again
	heard   int64 // arrived, as far as the writer knows
	marks   []mark
	granted int       // bytes that may be read at slot, by passage.line
	slot    time.Time // zero if nothing is reserved

	end     ending // what follows the last byte
	endDue  time.Time
	ended   bool // the end has arrived
	writer  side
	reader  side
	refused time.Time   // when the answer of the reader's kernel arrives that its end is closed; zero if there is none
	gaveUp  func()      // called, without mu, when the writer's kernel gives up
	giveUp  *time.Timer // for gaveUp; nil if nothing waits for an acknowledgement
}

// A mark says when the bytes up to a position arrive. They do not arrive before the bytes of earlier marks. If there is no mark, all written
// bytes have arrived, or the pipe is blocked.
type mark struct {
	upto int64
	due  time.Time
}

// A side is the state of a pipe at one end.
type side struct {
	closed   bool
	failed   error // if not nil, calls at this end return it at once
	frozen   bool
	deadline time.Time
}

// err returns why calls at an end fail.
func (s *side) err() error {
	switch {
	case s.closed:
		return net.ErrClosed
	case s.failed != nil:
		return s.failed
	case passed(s.deadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// An ending is how a pipe ends.
type ending int

const (
	open  ending = iota
	fin          // the writer will write no more
	reset        // the writer's end is gone, with bytes that it had not read
)

func newPipe(random *rand.Rand) *pipe {
	p := &pipe{random: random}
	p.changed.L = &p.mu
	return p
}

// write writes b, and waits while the window is full. bounced reports that bytes have come to a reader that is gone.
func (p *pipe) write(b []byte) (n int, bounced bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if err := p.writer.err(); err != nil {
			return n, false, err
		}
		if n == len(b) {
			return n, p.bounces(), nil
		}
		if passed(p.refused) {
			return n, false, syscall.EPIPE
		}
		room := window - int(p.written-p.acked)
		if p.writer.frozen || room <= 0 {
			p.wait(earlier(p.refused, p.writer.deadline))
			continue
		}
		part := b[n:min(len(b), n+room)]
		p.push(part)
		n += len(part)
	}
}

// buffers are for bytes on their way.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// push sends a part that fits into the window. The caller holds mu.
func (p *pipe) push(part []byte) {
	if p.buffer == nil {
		p.buffer = buffers.Get().(*[]byte)
		p.data = *p.buffer
	}
	if p.off > 0 && len(p.data)+len(part) > cap(p.data) {
		p.data = p.data[:copy(p.data, p.data[p.off:])]
		p.off = 0
	}
	p.data = append(p.data, part...)
	p.written += int64(len(part))
	p.send()
	p.watchAcks()
	p.changed.Broadcast()
}

// send sets the time at which the last written bytes arrive. The caller holds mu.
func (p *pipe) send() {
	switch {
	case p.passage.blocked:
	case p.passage.delay == 0 && p.passage.jitter == 0 && len(p.marks) == 0:
		p.arrive(p.written)
	default:
		p.marks = append(p.marks, mark{p.written, p.due()})
	}
}

// due returns when bytes that are sent now arrive. The caller holds mu.
func (p *pipe) due() time.Time {
	due := time.Now().Add(p.passage.delay)
	if p.passage.jitter > 0 {
		due = due.Add(time.Duration(p.random.Int64N(int64(p.passage.jitter))))
	}
	return due
}

// arrive notes that bytes have arrived. The caller holds mu.
func (p *pipe) arrive(upto int64) {
	p.arrived = upto
	if !p.passage.unheard {
		p.heard = upto
	}
}

// advance lets all bytes arrive that are due. It returns when the next bytes are due, or zero if nothing arrives before something changes.
// The caller holds mu.
func (p *pipe) advance() (next time.Time) {
	if p.passage.blocked {
		return time.Time{}
	}
	now := time.Now()
	for len(p.marks) > 0 {
		if now.Before(p.marks[0].due) {
			return p.marks[0].due
		}
		p.arrive(p.marks[0].upto)
		p.marks = p.marks[1:]
	}
	p.watchAcks()
	if p.end == open || p.ended || p.writer.frozen {
		return time.Time{}
	}
	if now.Before(p.endDue) {
		return p.endDue
	}
	p.ended = true
	return time.Time{}
}

// take reads into b, and waits until something has arrived.
func (p *pipe) take(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if err := p.reader.err(); err != nil {
			return 0, err
		}
		if len(b) == 0 {
			return 0, nil
		}
		if p.reader.frozen {
			p.wait(p.reader.deadline)
			continue
		}
		next := p.advance()
		if n := min(int64(len(b)), p.arrived-p.read); n > 0 {
			granted, slot := p.grant(int(n))
			if granted > 0 {
				p.pop(b[:granted])
				return granted, nil
			}
			next = slot
		} else if p.ended {
			return 0, p.ending()
		}
		p.wait(earlier(next, p.reader.deadline))
	}
}

func (p *pipe) ending() error {
	if p.end == reset {
		return syscall.ECONNRESET
	}
	return io.EOF
}

// grant returns how many of n bytes the line has carried by now. If it has carried none, grant returns when it will have carried some. The
// caller holds mu.
func (p *pipe) grant(n int) (granted int, slot time.Time) {
	if p.passage.line == nil {
		return n, time.Time{}
	}
	now := time.Now()
	if p.granted == 0 {
		p.granted, p.slot = p.passage.line.reserve(now, n)
	}
	if now.Before(p.slot) {
		return 0, p.slot
	}
	granted = min(n, p.granted)
	p.granted -= granted
	return granted, time.Time{}
}

// pop takes the first unread bytes. The caller holds mu.
func (p *pipe) pop(b []byte) {
	copy(b, p.data[p.off:])
	p.off += len(b)
	p.read += int64(len(b))
	if p.off == len(p.data) {
		*p.buffer = p.data[:0]
		buffers.Put(p.buffer) // most connections are idle
		p.buffer, p.data, p.off = nil, nil, 0
	}
	if !p.passage.unheard {
		full := p.written-p.acked >= window
		p.acked = p.read
		if full {
			p.changed.Broadcast()
		}
	}
}

// wait returns after a change, or at a time if that is not zero. The caller holds mu. wait does not hold it while it waits.
func (p *pipe) wait(until time.Time) {
	if !until.IsZero() {
		timer := time.AfterFunc(time.Until(until), p.wake)
		defer timer.Stop()
	}
	p.changed.Wait()
}

func (p *pipe) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed.Broadcast()
}

// passed reports whether there is a deadline and it has passed.
func passed(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// earlier returns the earlier of two times. A zero time counts as no time.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
