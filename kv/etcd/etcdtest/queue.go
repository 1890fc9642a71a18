package etcdtest

import (
	"os"
	"sync"
	"time"
)

// window is the most bytes that one direction of a connection holds, and the most that pass without an acknowledgement.
const window = 64 << 10

// A passage is what a network does with the bytes of one direction of a connection.
type passage struct {
	blocked bool          // nothing passes
	unheard bool          // no acknowledgement comes back
	delay   time.Duration // for each byte
	rate    *rate         // nil means no limit
}

// clear reports whether the bytes pass as if there were no network.
func (p passage) clear() bool { return p == passage{} }

// A queue holds the bytes that travel in one direction of a connection. One end belongs to a client, which can set a deadline. The
// other end belongs to a pump.
type queue struct {
	client end // the client's end

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when anything below changes
	passage  passage
	chunks   []chunk
	size     int       // of all chunks
	finished bool      // no more chunks will come
	broken   error     // if not nil, calls of both ends return it at once
	deadline time.Time // the client's
	unheard  int       // bytes that have passed without an acknowledgement
	granted  int       // bytes that passage.rate lets leave at slot
	slot     time.Time
}

// An end is one of the two ends of a queue.
type end int

const (
	writing end = iota
	reading
)

// A chunk is some bytes, or the end of the stream.
type chunk struct {
	data []byte
	err  error // if data is nil, the error that reads return from here on
	sent time.Time
}

func newQueue(client end) *queue {
	return &queue{client: client, changed: make(chan struct{})}
}

// announce notifies both ends of a change. The caller holds mu.
func (q *queue) announce() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// pass changes what happens to the bytes, also to those that are already in the queue.
func (q *queue) pass(p passage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.rate != q.passage.rate {
		q.granted, q.slot = 0, time.Time{}
	}
	if !p.unheard {
		q.unheard = 0
	}
	q.passage = p
	q.announce()
}

func (q *queue) setDeadline(t time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deadline = t
	q.announce()
}

// put sends b. It blocks while the queue is full.
func (q *queue) put(b []byte) (sent int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if err := q.fault(writing); err != nil {
			return sent, err
		}
		if sent == len(b) {
			return sent, nil
		}
		if room := window - q.size; room > 0 {
			part := b[sent:min(len(b), sent+room)]
			q.add(part)
			sent += len(part)
			continue
		}
		q.wait(writing, time.Time{})
	}
}

// hold is put without blocking, for bytes that were read before the queue was used.
func (q *queue) hold(b []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(b)
}

// add copies b. The caller holds mu.
func (q *queue) add(b []byte) {
	if len(b) > 0 && !q.finished {
		q.chunks = append(q.chunks, chunk{data: append([]byte(nil), b...), sent: time.Now()})
		q.size += len(b)
		q.announce()
	}
}

// finish ends the sending. Reads return err after the bytes that were sent before.
func (q *queue) finish(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.finished {
		q.finished = true
		q.chunks = append(q.chunks, chunk{err: err, sent: time.Now()})
		q.announce()
	}
}

// fail discards the bytes in the queue and makes both ends return err, unless the queue has failed before.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken == nil {
		q.broken = err
		q.chunks, q.size = nil, 0
		q.announce()
	}
}

// take receives into b. It blocks until bytes have arrived.
func (q *queue) take(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if err := q.fault(reading); err != nil {
			return 0, err
		}
		if len(b) == 0 {
			return 0, nil
		}
		n, at, err := q.arrived(len(b))
		switch {
		case err != nil:
			return 0, err
		case n > 0:
			q.remove(b[:n])
			return n, nil
		}
		q.wait(reading, at)
	}
}

// arrived returns how many bytes can be taken now, up to most, or the error that comes next. If there are neither, it returns
// when to check again. That is zero if only a change can help. The caller holds mu.
func (q *queue) arrived(most int) (n int, at time.Time, err error) {
	p := q.passage
	if p.blocked || len(q.chunks) == 0 {
		return 0, time.Time{}, nil
	}
	now, first := time.Now(), q.chunks[0]
	if due := first.sent.Add(p.delay); now.Before(due) {
		return 0, due, nil
	}
	if first.data == nil {
		return 0, time.Time{}, first.err
	}
	n = min(most, len(first.data))
	if p.unheard {
		if n = min(n, window-q.unheard); n == 0 {
			return 0, time.Time{}, nil
		}
	}
	if p.rate == nil {
		return n, time.Time{}, nil
	}
	if q.granted == 0 {
		q.granted, q.slot = p.rate.reserve(now, n)
	}
	if now.Before(q.slot) {
		return 0, q.slot, nil
	}
	return min(n, q.granted), time.Time{}, nil
}

// remove takes the first bytes. All of them must be in one chunk. The caller holds mu.
func (q *queue) remove(b []byte) {
	first := &q.chunks[0]
	copy(b, first.data)
	first.data = first.data[len(b):]
	if len(first.data) == 0 {
		q.chunks = q.chunks[1:]
	}
	q.size -= len(b)
	if q.passage.unheard {
		q.unheard += len(b)
	}
	if q.passage.rate != nil {
		q.granted -= len(b)
	}
	q.announce()
}

// fault returns the error that stops this end, or nil. The caller holds mu.
func (q *queue) fault(by end) error {
	switch {
	case q.broken != nil:
		return q.broken
	case by == q.client && !q.deadline.IsZero() && !time.Now().Before(q.deadline):
		return os.ErrDeadlineExceeded
	case by == writing && q.finished:
		return os.ErrClosed
	}
	return nil
}

// wait returns when something may have changed for this end, or at the time at if that is not zero. The caller holds mu. wait
// releases it while it waits.
func (q *queue) wait(by end, at time.Time) {
	if by == q.client && !q.deadline.IsZero() && (at.IsZero() || q.deadline.Before(at)) {
		at = q.deadline
	}
	changed := q.changed
	q.mu.Unlock()
	defer q.mu.Lock()
	var passed <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-changed:
	case <-passed:
	}
}
