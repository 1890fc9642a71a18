package etcd

import (
	"context"
	"errors"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// slowAfter is how long a read runs before a helper begins to find out why it is slow. Most reads end before that.
	slowAfter = 2 * time.Second
	// probeEvery is the time between two small reads of a row. The gRPC balancer gives each read the next connection.
	probeEvery = 500 * time.Millisecond
	// probesInARow is the length of a row. With the usual number of members, each member gets one read.
	probesInARow = 3
	// mostProbes is how many small reads may be without an answer.
	mostProbes = 2 * probesInARow
	// restAfter is how long a helper waits between two rows. The time doubles while nothing is answered, up to mostRest.
	restAfter = 5 * time.Second
	mostRest  = time.Minute
	// deadAfter is how long the client may get no answer at all before its connections count as dead. On a slow
	// link a small answer waits behind large answers that are in the buffers.
	deadAfter = 10 * time.Second
	// mostReads is how often one read is sent, and mostReconnects how often the client gets new connections for it.
	mostReads      = 3
	mostReconnects = 3
)

// ask makes one read of etcd. etcd's client gives a read one connection and waits for it, even if the connection is dead and
// other members answer. No constant can bound a read, because a large value over a slow link takes minutes. So a
// slow read gets a helper. The helper sends small reads, which go to other members too. Suppose that one small read is
// answered, and that an earlier one is still not answered a second later. Then one of the client's connections may be dead, and the helper
// sends the read again. A slow connection looks like a dead one at first, while others have nothing to carry. So if the earlier small read is
// answered after all, the helper ends the read that it has sent again, and is more patient afterwards. If no small read is answered, the
// helper asks the client's connection for the cause. If the connection knows a cause, the read ends with it.
func (s *Store) ask(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := &helper{store: s, key: key, opts: opts, answers: make(chan answer), over: make(chan struct{})}
	timer := time.AfterFunc(slowAfter, func() {
		defer close(h.over)
		h.run(ctx, cancel)
	})
	resp, err := get(ctx, s.client, key, opts...)
	if timer.Stop() {
		return resp, err
	}
	cancel()
	<-h.over
	switch {
	case err == nil:
		s.connection.connected()
		return resp, nil
	case h.resp != nil:
		return h.resp, nil
	case h.err != nil:
		return nil, h.err
	}
	return nil, err
}

// errNoResponse is the error of a client that returns nothing at all. etcd's own client never does, but a program may have replaced a part of
// it.
var errNoResponse = errors.New("the client returned neither a response nor an error")

// get is one read by client.
func get(ctx context.Context, client clientv3.KV, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	resp, err := client.Get(ctx, key, opts...)
	if resp == nil && err == nil {
		err = errNoResponse
	}
	return resp, err
}

// helper helps one slow read. Its fields belong to run until over is closed.
type helper struct {
	store   *Store
	key     string
	opts    []clientv3.OpOption
	answers chan answer
	pending int // how many requests are not answered

	probes     []*smallRead  // in the order in which they were sent
	answeredAt time.Time     // when the last answer to any request came, or the helper began
	slowest    time.Duration // the longest time that a small read took
	reads      int           // how often the read was sent
	again      []repetition  // those of them that a slow connection would not need
	reconnects int
	diagnosing bool

	over chan struct{} // closed when resp and err are final
	resp *clientv3.GetResponse
	err  error // why the read cannot be answered
}

// smallRead is a read of the same key whose answer has a few bytes.
type smallRead struct{ sentAt, answeredAt time.Time }

func (p *smallRead) isOpen() bool { return p.answeredAt.IsZero() }

// repetition is the read, sent again because of small reads that were not answered.
type repetition struct {
	because []*smallRead
	end     context.CancelFunc
}

func (r *repetition) isNeeded() bool { return slices.ContainsFunc(r.because, (*smallRead).isOpen) }

type answer struct {
	probe *smallRead            // the small read that was answered
	resp  *clientv3.GetResponse // of the read itself
	cause error                 // the result of a diagnosis
}

// run helps until ctx ends. It ends ctx when it has an answer. It returns when all requests that it has sent have ended.
func (h *helper) run(ctx context.Context, cancel context.CancelFunc) {
	defer func() {
		cancel()
		for ; h.pending > 0; h.pending-- {
			<-h.answers
		}
	}()
	h.reads, h.answeredAt = 1, time.Now()
	if !h.store.connection.isConnected() {
		h.diagnose(ctx)
	}
	h.probe(ctx)
	sent, rest := 1, restAfter
	next := time.NewTimer(probeEvery)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			if sent < probesInARow {
				sent++
				h.probe(ctx)
				next.Reset(probeEvery)
				if sent == probesInARow {
					next.Reset(overtakenFor)
				}
				continue
			}
			if h.judge(ctx) {
				rest = restAfter
			}
			next.Reset(rest)
			sent, rest = 0, min(2*rest, mostRest)
		case a := <-h.answers:
			h.pending--
			if ctx.Err() != nil || h.take(ctx, a) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// judge looks at a row of probes, and then sends the read again or asks for the cause. It reports whether anything was answered.
func (h *helper) judge(ctx context.Context) (alive bool) {
	if time.Since(h.answeredAt) >= probesInARow*probeEvery+overtakenFor/2 {
		h.diagnose(ctx)
		return false
	}
	overtaken := h.overtaken()
	h.probes = slices.DeleteFunc(h.probes, func(p *smallRead) bool { return !p.isOpen() }) // newer ones will be sent
	if len(overtaken) > 0 && h.reads < mostReads {
		h.read(ctx, overtaken)
	}
	return true
}

// overtaken returns the probes that are not answered although a later probe was answered a while ago, if a slow connection is no explanation.
func (h *helper) overtaken() (all []*smallRead) {
	for i, p := range h.probes {
		overtakes := func(later *smallRead) bool {
			return !later.isOpen() && time.Since(later.answeredAt) >= overtakenFor/2
		}
		if p.isOpen() && time.Since(p.sentAt) >= 2*h.slowest && slices.ContainsFunc(h.probes[i+1:], overtakes) {
			all = append(all, p)
		}
	}
	return all
}

// take handles an answer, and reports whether it ends the read.
func (h *helper) take(ctx context.Context, a answer) (done bool) {
	switch {
	case a.probe != nil:
		a.probe.answeredAt = time.Now()
		h.answeredAt = a.probe.answeredAt
		h.slowest = max(h.slowest, a.probe.answeredAt.Sub(a.probe.sentAt))
		h.endNeedless()
	case a.resp != nil:
		h.store.connection.connected()
		h.resp = a.resp
		return true
	case a.cause == errReconnected: // the client has other connections now
		unanswered := slices.DeleteFunc(h.probes, func(p *smallRead) bool { return !p.isOpen() })
		h.diagnosing, h.probes, h.answeredAt = false, nil, time.Now()
		h.reconnects++
		h.read(ctx, unanswered)
	case a.cause != nil:
		h.err = a.cause
		return true
	default:
		h.diagnosing = false
	}
	return false
}

// endNeedless ends the repetitions that are not needed any more.
func (h *helper) endNeedless() {
	h.again = slices.DeleteFunc(h.again, func(r repetition) bool {
		if r.isNeeded() {
			return false
		}
		r.end()
		h.reads--
		return true
	})
}

func (h *helper) send(request func() answer) {
	h.pending++
	go func() { h.answers <- request() }()
}

// read sends the read again, because small reads are not answered. If that fails, the first read continues.
func (h *helper) read(ctx context.Context, because []*smallRead) {
	ctx, end := context.WithCancel(ctx)
	h.again = append(h.again, repetition{because, end})
	h.reads++
	h.send(func() answer {
		resp, err := get(ctx, h.store.client, h.key, h.opts...)
		if err != nil {
			return answer{probe: &smallRead{sentAt: time.Now()}} // an error is an answer too
		}
		return answer{resp: resp}
	})
}

// probe sends a small read, unless many are without an answer. It reads the same key, because the caller is allowed to read it.
func (h *helper) probe(ctx context.Context) {
	waiting := 0
	for _, p := range h.probes {
		if p.isOpen() {
			waiting++
		}
	}
	if waiting >= mostProbes {
		return
	}
	p := &smallRead{sentAt: time.Now()}
	h.probes = append(h.probes, p)
	h.send(func() answer {
		h.store.client.Get(ctx, h.key, clientv3.WithCountOnly())
		return answer{probe: p}
	})
}

// diagnose asks the client's connection why nothing is answered, unless a diagnosis is under way.
func (h *helper) diagnose(ctx context.Context) {
	if h.diagnosing {
		return
	}
	h.diagnosing = true
	var silentSince time.Time
	if h.reconnects < mostReconnects && time.Since(h.answeredAt) >= max(deadAfter, 2*h.slowest) {
		silentSince = h.answeredAt
	}
	h.send(func() answer { return answer{cause: h.store.diagnose(ctx, silentSince)} })
}

// ReadsAgain implements [kv.SelfReader]. It returns true.
func (s *Store) ReadsAgain() bool { return true }
