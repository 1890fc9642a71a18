package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
)

// stream is one iteration of a watch.
//
// etcd's client keeps what it received for a watch that does not ask, without a bound. So a goroutine asks
// all the time, and keeps no more than a buffer holds: past that it lets go of etcd altogether, and next
// starts another goroutine where it left off, once the consumer has emptied the buffer. There is at most
// one goroutine at a time, started by open and waited for by close.
type stream struct {
	store   *Store
	r       kv.Range
	after   kv.Revision
	history *history // which the revisions of this stream belong to
	held    *buffer

	ctx    context.Context // ends the goroutine
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has returned

	// Owned by the goroutine while there is one, and by the consumer in between.
	delivered  kv.Revision // the highest revision put in the buffer; zero at first
	byBookmark bool        // delivered is that of a bookmark
	terms      map[uint64]uint64
}

var (
	// errFull ends a drain whose buffer is full. The consumer never sees it.
	errFull = errors.New("the buffer is full")
	// errReplaced ends a stream whose history is no longer etcd's, as another answer has shown.
	errReplaced = &kv.OpError{Reason: kv.ErrReset}
)

func (s *Store) newStream(ctx context.Context, r kv.Range, after kv.Revision) *stream {
	w := &stream{
		store:   s,
		r:       r,
		after:   after,
		history: s.identity.now(),
		held:    newBuffer(s.buffer),
		terms:   make(map[uint64]uint64),
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.open()
	return w
}

// open starts the goroutine that fills the buffer. Only the consumer calls it, and only while there is none
// running: at first, and after errFull.
func (w *stream) open() {
	w.held.reopen()
	done := make(chan struct{})
	w.done = done
	go func() {
		defer close(done)
		w.held.finish(w.drain())
	}()
}

// close ends the stream and waits for its goroutine.
func (w *stream) close() {
	w.cancel()
	<-w.done
}

// drain receives from etcd until the stream ends, and returns why it did.
//
// etcd can be asked to cut large responses into messages, but takes time quadratic in the number of events for it,
// which is minutes for the changes of a few busy seconds. So it is asked only once a message turned out to be too large for
// the client. That ends all watches of the client's stream; each goes on from where it was.
//
// It may also be the request that is too large, which looks the same. So one that could be has a lane of its own.
func (w *stream) drain() error {
	fragment := w.store.fragment.Load()
	err := w.receive(fragment)
	if !fragment && isOversize(err) {
		if !w.isLong() {
			w.store.fragment.Store(true)
		}
		err = w.receive(true)
	}
	return err
}

// isLong reports whether the keys of the watch's range alone could be more than fits into a message.
func (w *stream) isLong() bool {
	const long = 64 << 10
	key, rangeEnd := bounds(w.r)
	return len(key)+len(rangeEnd) > long
}

// lane returns the lane to open a watch in.
func (w *stream) lane() *lane {
	if w.isLong() {
		return newLane(lanes.Add(1))
	}
	return w.store.lane.Load()
}

// receive opens one watch of etcd's client, after what the stream has brought so far, and takes what comes.
func (w *stream) receive(fragment bool) error {
	// Of its own, so that whatever the reason to return, etcd's client lets go of the watch.
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.ctx))
	defer cancel()
	lane := w.lane()
	key, rangeEnd := bounds(w.r)
	from := max(w.after, w.delivered)
	from = max(from, from+1) // at the last revision there can be, stay there
	opts := []clientv3.OpOption{
		clientv3.WithRange(rangeEnd), clientv3.WithRev(int64(from)), clientv3.WithProgressNotify(),
		clientv3.WithCreatedNotify(), // says where the member is, which may be before where it was
	}
	if fragment {
		opts = append(opts, clientv3.WithFragment())
	}
	asked, before := w.store.identity.opening()
	responses := w.begin(ctx, cancel, lane, key, opts)
	for heard := false; ; {
		var resp clientv3.WatchResponse
		var ok bool
		select {
		case resp, ok = <-responses:
		case <-w.store.closed:
		case <-w.ctx.Done():
		}
		switch {
		case w.ctx.Err() != nil:
			return w.ctx.Err()
		case !ok:
			return w.silence(heard)
		}
		if resp.Created && !resp.Canceled {
			if !w.store.identity.opened(asked, before, resp.Header) {
				return errReplaced
			}
			continue
		}
		heard = true
		batch, err := w.accept(resp)
		if err != nil {
			if resp.Canceled && resp.CompactRevision == 0 {
				w.store.lane.CompareAndSwap(lane, newLane(lanes.Add(1)))
			}
			return err
		}
		if batch.Revision == 0 {
			continue
		}
		if !w.held.add(batch) {
			return errFull
		}
		w.delivered, w.byBookmark = batch.Revision, batch.IsBookmark()
	}
}

// createGrace is how long a watch that is given up is kept until the server has begun it. Tests change it.
var createGrace = 250 * time.Millisecond

// begin has etcd's client begin a watch that ends with ctx. The call returns once the server has begun it, and waits
// for as long as no member is in reach. It may return no channel if the stream ends or the client is closed meanwhile.
//
// A watch that is cancelled between its request and the answer is one that etcd's client forgets and the server does
// not: it stays there, with its stream, until an event comes for it. So a stream that ends just then is given a moment for
// the answer. Where that does not come, the connection is likely to be gone and with it the watch.
//
// etcd's client makes the requests of a gRPC stream one after the other, and each would wait there, out of sight, for
// longer than that moment when there are many. So they wait here: of those that end meanwhile there is no request.
func (w *stream) begin(ctx context.Context, cancel func(), in *lane, key string, opts []clientv3.OpOption) clientv3.WatchChan {
	select {
	case in.turn <- struct{}{}:
		defer func() { <-in.turn }()
	case <-w.ctx.Done():
	case <-w.store.closed:
		return nil
	}
	if w.ctx.Err() != nil {
		return nil
	}
	begun := make(chan struct{})
	var ending sync.WaitGroup
	ending.Add(1)
	stop := context.AfterFunc(w.ctx, func() {
		defer ending.Done()
		grace := time.NewTimer(createGrace)
		defer grace.Stop()
		select {
		case <-begun:
		case <-grace.C:
		}
		cancel()
	})
	responses := w.store.client.Watch(in.context(ctx), key, opts...)
	close(begun)
	if stop() {
		ending.Done()
	}
	ending.Wait()
	return responses
}

// accept returns what resp brings, or the error it ends the stream with. A batch at revision zero is nothing.
func (w *stream) accept(resp clientv3.WatchResponse) (kv.Batch, error) {
	if !w.store.identity.heard(w.history, resp.Header) {
		return kv.Batch{}, errReplaced
	}
	if err := resp.Err(); err != nil {
		if resp.CompactRevision != 0 {
			return kv.Batch{}, &kv.OpError{
				Reason: &kv.CompactedError{Oldest: kv.Revision(resp.CompactRevision)},
				Cause:  err,
			}
		}
		return kv.Batch{}, err
	}
	if err := w.checkHeader(resp); err != nil {
		return kv.Batch{}, err
	}
	if resp.IsProgressNotify() {
		if rev := kv.Revision(resp.Header.GetRevision()); rev >= w.after {
			return kv.Batch{Revision: rev}, nil
		}
		return kv.Batch{}, nil
	}
	batch := kv.Batch{Events: make([]kv.Event, 0, len(resp.Events))}
	last := w.delivered
	for _, e := range resp.Events {
		rev := kv.Revision(e.Kv.ModRevision)
		switch {
		case rev <= w.after:
			continue // not asked for
		case rev < last, rev == w.delivered && w.byBookmark:
			return kv.Batch{}, backwards("an event of revision %d came after revision %d", rev, last)
		case rev == w.delivered:
			continue // a repetition
		}
		last = rev
		if !w.r.Contains(string(e.Kv.Key)) {
			continue
		}
		batch.Events = append(batch.Events, event(e))
		batch.Revision = rev
	}
	return batch, nil
}

// checkHeader ends the stream if resp's header is older than what the stream has brought before: for all that a
// member may lag behind others, none lags behind itself, and etcd's client goes on only from where it was.
func (w *stream) checkHeader(resp clientv3.WatchResponse) error {
	if rev := kv.Revision(resp.Header.GetRevision()); rev != 0 && rev < w.delivered {
		return backwards("revision %d came after revision %d", rev, w.delivered)
	}
	member, term := resp.Header.GetMemberId(), resp.Header.GetRaftTerm()
	if term < w.terms[member] {
		return backwards("member %x was at raft term %d and is now at %d", member, w.terms[member], term)
	}
	if term != 0 {
		w.terms[member] = term
	}
	return nil
}

// backwards is the error of a stream that shows another past than before.
func backwards(format string, args ...any) error {
	return &kv.OpError{Reason: kv.ErrReset, Cause: fmt.Errorf(format, args...)}
}

// probeTimeout bounds a probe.
const probeTimeout = 5 * time.Second

// silence says why the channel of a watch was closed without a word: because the client was, or because
// clientv3 has dropped the last words, as it does with what the consumer has not taken when a watch ends.
func (w *stream) silence(heard bool) error {
	switch {
	case w.store.isClosed():
		return &kv.OpError{Reason: kv.ErrClosed}
	case w.store.closed != nil || heard:
		return &kv.OpError{Reason: kv.ErrUnavailable, Cause: errSilence}
	}
	// This client does not tell that it is closed, but a request to it does.
	ctx, cancel := context.WithTimeout(w.ctx, probeTimeout)
	defer cancel()
	key, rangeEnd := bounds(w.r)
	_, err := w.store.client.Get(ctx, key, clientv3.WithRange(rangeEnd), clientv3.WithLimit(1), clientv3.WithKeysOnly())
	if err != nil && w.ctx.Err() == nil && ctx.Err() == nil {
		return err
	}
	return &kv.OpError{Reason: kv.ErrUnavailable, Cause: errSilence}
}

var errSilence = errors.New("etcd's client ended the watch without a reason")

// event returns e in the words of package kv.
func event(e *mvccpb.Event) kv.Event {
	if e.Type == clientv3.EventTypeDelete {
		return kv.Event{Type: kv.EventDelete, Entry: kv.Entry{
			Key:         string(e.Kv.Key),
			ModRevision: kv.Revision(e.Kv.ModRevision),
		}}
	}
	return kv.Event{Type: kv.EventPut, Entry: entry(e.Kv)}
}
