package etcd

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// slowAfter is how long a read takes before a helper looks at why. Most reads end before.
	slowAfter = 2 * time.Second
	// probeEvery is how often a helper sends a small read. The gRPC balancer gives each the next connection.
	probeEvery = 500 * time.Millisecond
	// probesAtOnce is how many of them are sent in a row, so that each of a usual number of members gets one.
	probesAtOnce = 3
	// restAfter is how long a helper waits between two rows of probes. It doubles each time.
	restAfter = 5 * time.Second
	// deadAfter is how long nothing at all may be answered before the client's connections are taken for dead. On a slow
	// link a small answer waits behind what is in the buffers before it.
	deadAfter = 10 * time.Second
	// mostReads is how often one read is sent.
	mostReads = 3
)

// ask makes one read of etcd. etcd's client waits for the connection that it has given a read, also for one that is dead,
// while other members answer. No constant bounds a read, because a large value over a slow link takes minutes. So a
// read that is slow gets a helper. The helper sends small reads, which go to other members too. If some of those are
// answered, and others that were sent before are not, one of the client's connections is dead, and the read is sent again.
// If none is answered, the helper asks the client's connection why. A cause that it names ends the read.
func (s *Store) ask(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := &helper{store: s, key: key, opts: opts, answers: make(chan answer), over: make(chan struct{})}
	timer := time.AfterFunc(slowAfter, func() {
		defer close(h.over)
		h.run(ctx, cancel)
	})
	resp, err := s.client.Get(ctx, key, opts...)
	if timer.Stop() {
		return resp, err
	}
	cancel()
	<-h.over
	switch {
	case err == nil:
		return resp, nil
	case h.resp != nil:
		return h.resp, nil
	case h.err != nil:
		return nil, h.err
	}
	return nil, err
}

// helper helps one read that is slow.
type helper struct {
	store   *Store
	key     string
	opts    []clientv3.OpOption
	answers chan answer
	owed    int // how many requests are not answered

	over chan struct{} // closed when what follows is final
	resp *clientv3.GetResponse
	err  error // why the read cannot be answered
}

type answer struct {
	probe bool
	resp  *clientv3.GetResponse
	err   error
	cause error // of a diagnosis
}

// run helps until ctx ends. It ends ctx when it has an answer. It waits for the requests that it has sent.
func (h *helper) run(ctx context.Context, cancel context.CancelFunc) {
	defer func() {
		cancel()
		for ; h.owed > 0; h.owed-- {
			<-h.answers
		}
	}()
	probes, answered, reads, diagnosing, begun := 0, 0, 1, false, time.Now()
	rest := restAfter
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			if probes < probesAtOnce {
				probes++
				h.send(func() answer { return h.probe(ctx) })
				next.Reset(probeEvery)
				continue
			}
			switch {
			case answered == 0 && !diagnosing:
				diagnosing = true
				silent := time.Since(begun) >= deadAfter
				h.send(func() answer { return answer{cause: h.store.diagnose(ctx, silent)} })
			case answered > 0 && answered < probes && reads < mostReads:
				reads++
				h.send(func() answer { return h.read(ctx) })
			}
			next.Reset(rest)
			probes, answered, rest = 0, 0, min(2*rest, time.Minute)
		case a := <-h.answers:
			h.owed--
			switch {
			case ctx.Err() != nil:
				return
			case a.probe:
				answered++
				begun = time.Now()
			case a.resp != nil:
				h.resp = a.resp
				return
			case a.cause == errRenewed: // the client has another connection now
				diagnosing = false
				h.send(func() answer { return h.read(ctx) })
			case a.cause != nil:
				h.err = a.cause
				return
			default:
				diagnosing = false
			}
		case <-ctx.Done():
			return
		}
	}
}

func (h *helper) send(request func() answer) {
	h.owed++
	go func() { h.answers <- request() }()
}

// read sends the read again.
func (h *helper) read(ctx context.Context) answer {
	resp, err := h.store.client.Get(ctx, h.key, h.opts...)
	if err != nil {
		return answer{err: err}
	}
	return answer{resp: resp}
}

// probe is a small read of the same key, which the caller is allowed to read. An error is an answer too.
func (h *helper) probe(ctx context.Context) answer {
	_, err := h.store.client.Get(ctx, h.key, clientv3.WithCountOnly())
	if ctx.Err() != nil {
		return answer{err: err}
	}
	return answer{probe: true, err: err}
}

// ReadsAgain implements [kv.SelfReader]. It is true.
func (s *Store) ReadsAgain() bool { return true }
