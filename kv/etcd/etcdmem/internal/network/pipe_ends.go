package network

import (
	"syscall"
	"time"
)

// pass changes what happens to the bytes. It also changes it for the bytes that are on their way.
func (p *pipe) pass(to passage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to == p.passage {
		return
	}
	p.advance()
	if to.line != p.passage.line {
		p.granted, p.slot = 0, time.Time{}
	}
	p.passage = to
	if !to.unheard {
		p.acked, p.heard = p.read, p.arrived
	}
	p.marks = nil // lost bytes are sent again, and other bytes do not arrive later because of that
	if p.written > p.arrived {
		p.send()
	}
	if p.end != open && !p.ended {
		p.endDue = p.due()
	}
	p.watchAcks()
	p.changed.Broadcast()
}

// watchAcks starts or stops the timer after which the writer's kernel gives up. The caller holds mu.
func (p *pipe) watchAcks() {
	waits := p.heard < p.written && (p.passage.blocked || p.passage.unheard) && p.writer.failed == nil && p.gaveUp != nil
	switch {
	case waits && p.giveUp == nil:
		p.giveUp = time.AfterFunc(retransmitFor, p.gaveUp)
	case !waits && p.giveUp != nil:
		p.giveUp.Stop()
		p.giveUp = nil
	}
}

// finish ends what the writer writes. Reads return the written bytes, and then the end.
func (p *pipe) finish(end ending, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writer.closed = p.writer.closed || closed
	if p.end == open {
		p.end, p.endDue = end, p.due()
	}
	p.changed.Broadcast()
}

// leave notes that the reader reads no more. It reports whether there are bytes that it has not read.
func (p *pipe) leave() (unread bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reader.closed = true
	p.advance()
	unread = p.arrived > p.read
	p.changed.Broadcast()
	return unread
}

// bounces reports whether bytes have arrived at a closed end and a reset can reach the writer. The caller holds mu.
func (p *pipe) bounces() bool {
	return (p.reader.closed || p.reader.failed != nil) && p.refused.IsZero() && !p.passage.blocked && !p.passage.unheard && p.read < p.written
}

// bouncing is bounces for callers that do not hold mu.
func (p *pipe) bouncing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bounces()
}

// refuse makes writes fail from a time on, because the other end is closed.
func (p *pipe) refuse(from time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = from
	p.changed.Broadcast()
}

// reset ends what the writer writes with a reset, unless it has ended. It returns when the reset arrives. A reset does not overtake bytes.
func (p *pipe) reset() (due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.end == open:
		p.end, p.endDue = reset, p.due()
		due = p.endDue
	case p.ended:
		due = p.due()
	default:
		due = p.endDue
	}
	for _, m := range p.marks {
		if m.due.After(due) {
			due = m.due
		}
	}
	p.changed.Broadcast()
	return due
}

// fail loses the bytes on their way, and makes both ends return err at once.
func (p *pipe) fail(err error) {
	p.failEnd(&p.writer, err)
	p.failEnd(&p.reader, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buffer, p.data, p.off, p.marks = nil, nil, 0, nil
	p.read, p.arrived = p.written, p.written
}

// cutShort makes reads return at once that the connection was reset, if a line still carries bytes to the reader. These are lost.
func (p *pipe) cutShort() {
	p.mu.Lock()
	carrying := p.passage.line != nil && p.read < p.written
	p.mu.Unlock()
	if carrying {
		p.failEnd(&p.reader, syscall.ECONNRESET)
	}
}

// failEnd makes one end return err at once. Only the first failure counts.
func (p *pipe) failEnd(end *side, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end.failed == nil {
		end.failed = err
	}
	p.watchAcks()
	p.changed.Broadcast()
}

// freeze stops or continues the process at one end.
func (p *pipe) freeze(end *side, frozen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end.frozen = frozen
	p.changed.Broadcast()
}

// setDeadline sets the deadline of one end.
func (p *pipe) setDeadline(end *side, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end.deadline = t
	p.changed.Broadcast()
}

// stop ends the timer of a pipe that is not used any more.
func (p *pipe) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gaveUp = nil
	p.watchAcks()
}
