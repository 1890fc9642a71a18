package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
)

// stream is one iteration of a watch.
//
// etcd's client keeps what it has received until the watch takes it, without a bound. So somebody always takes it. While the
// consumer waits for the next batch, the consumer itself takes it, so that an update passes through no other goroutine. If the
// consumer is busy with a batch for longer than a moment, a stand-in takes what comes, into a buffer. When the buffer is full, the
// stand-in ends the watch at etcd. When the consumer has emptied the buffer, it opens another watch where the last one ended.
type stream struct {
	store   *Store
	r       kv.Range
	after   kv.Revision
	history *history // to which the revisions of this stream belong

	// acknowledged is called when the first watch of the stream has begun; nil after that.
	acknowledged func()
	held         *buffer // holds what the stand-in has taken

	ctx    context.Context
	cancel context.CancelFunc
	close  func() // end, once

	// Owned by the stand-in while there is one, and by the consumer otherwise.
	source     *source     // nil while no watch of etcd's client is open
	fragment   bool        // etcd has to cut large responses into messages
	delivered  kv.Revision // the revision of the last batch that was received and kept; zero at first
	byBookmark bool        // delivered is that of a bookmark
	terms      map[uint64]uint64

	standIn standIn
}

// source is a watch of etcd's client.
type source struct {
	responses clientv3.WatchChan
	cancel    context.CancelFunc // ends the watch
	lane      *lane
	asked     question // when it was opened
	before    reached
	heard     bool // the source has brought something after its beginning
}

var (
	// errAgain ends a source that another source has to replace.
	errAgain = errors.New("open another watch")
	// errStopped is returned by a receive whose stop was closed.
	errStopped = errors.New("stopped")
	// errReplaced ends a stream whose history was replaced, as another answer has shown.
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
	s.connection.use()
	w.close = sync.OnceFunc(w.end)
	return w
}

// end ends the stream and everything that runs for it.
func (w *stream) end() {
	w.cancel()
	w.takeBack()
	w.letGo()
	w.store.connection.release()
}

// letGo ends the watch of etcd's client, if one is open.
func (w *stream) letGo() {
	if w.source != nil {
		w.source.cancel()
		w.store.lanes.release(w.source.lane)
		w.source = nil
	}
}

// acknowledge reports, once, that the watch has begun.
func (w *stream) acknowledge() {
	if w.acknowledged != nil {
		w.acknowledged()
		w.acknowledged = nil
	}
}

// took counts batch as kept. Another source need not bring it again.
func (w *stream) took(batch kv.Batch) { w.delivered, w.byBookmark = batch.Revision, batch.IsBookmark() }

// receive returns the next batch of the source. It opens a source if there is none. Any error except errStopped ends the source.
//
// etcd can cut large responses into messages, but that takes it time quadratic in the number of events:
// minutes for the changes of a few busy seconds. So receive requests it only after a message was too large for
// the client. Such a message ends all watches of the client's stream, and each of them continues from where it was.
//
// If a request is too large, the error is the same. So a request that may be too large has its own lane.
func (w *stream) receive(stop <-chan struct{}) (kv.Batch, error) {
	if w.source == nil {
		if err := w.open(stop); err != nil {
			return kv.Batch{}, err
		}
	}
	batch, err := w.fromSource(stop)
	if err == nil || err == errStopped {
		return batch, err
	}
	w.letGo()
	if !w.fragment && isOversize(err) {
		if !w.isLong() {
			w.store.fragment.Store(true)
		}
		w.fragment = true
		err = errAgain
	}
	return kv.Batch{}, err
}

// isLong reports whether the keys of the range are so long that the request may be larger than a message.
func (w *stream) isLong() bool {
	const long = 64 << 10
	key, rangeEnd := bounds(w.r)
	return len(key)+len(rangeEnd) > long
}

// open opens a source after the last batch of the stream.
func (w *stream) open(stop <-chan struct{}) error {
	w.fragment = w.fragment || w.store.fragment.Load()
	key, rangeEnd := bounds(w.r)
	from := max(w.after, w.delivered)
	from = max(from, from+1) // does not overflow at the largest revision
	p := &probe{client: w.store.client, closed: w.store.closed, key: key, opts: []clientv3.OpOption{
		clientv3.WithRange(rangeEnd), clientv3.WithRev(int64(from)), clientv3.WithProgressNotify(),
		clientv3.WithCreatedNotify(), // brings the member's revision, which may be lower than before
	}}
	if w.fragment {
		p.opts = append(p.opts, clientv3.WithFragment())
	}
	opened := &source{}
	opened.asked, opened.before = w.store.identity.opening()
	in := w.store.lanes.now()
	if w.isLong() {
		in = newLane(laneNumbers.Add(1))
	}
	r := w.store.lanes.open(w.ctx, stop, in, p)
	switch {
	case r != nil:
	case w.ctx.Err() != nil:
		return w.ctx.Err()
	case w.store.isClosed():
		return &kv.OpError{Reason: kv.ErrClosed}
	default:
		return errStopped
	}
	opened.responses, opened.cancel, opened.lane = r.responses, r.cancel, r.lane
	w.source = opened
	w.store.lanes.use(r.lane, canaryOf(p, rangeEnd))
	return nil
}

// fromSource returns the next batch of the source.
func (w *stream) fromSource(stop <-chan struct{}) (kv.Batch, error) {
	from := w.source
	for {
		var resp clientv3.WatchResponse
		var ok bool
		select {
		case resp, ok = <-from.responses:
		case <-w.store.closed:
		case <-w.ctx.Done():
		case <-from.lane.dead:
			return kv.Batch{}, &kv.OpError{Reason: kv.ErrUnavailable, Cause: w.store.lanes.why(from.lane)}
		case <-stop:
			return kv.Batch{}, errStopped
		}
		switch {
		case w.ctx.Err() != nil:
			return kv.Batch{}, w.ctx.Err()
		case !ok:
			return kv.Batch{}, w.silence(from.heard)
		}
		from.lane.hear()
		if resp.Created && !resp.Canceled {
			header := headerOf(&resp)
			if !w.store.identity.opened(from.asked, from.before, w.after, header) {
				return kv.Batch{}, errReplaced
			}
			if header.GetRevision() < from.asked.revision {
				w.store.connection.doubt()
			}
			w.acknowledge()
			continue
		}
		from.heard = true
		batch, err := w.accept(resp)
		if err != nil {
			if resp.Canceled && resp.CompactRevision == 0 {
				w.store.lanes.refused(from.lane)
			}
			return kv.Batch{}, err
		}
		if batch.Revision != 0 {
			return batch, nil
		}
	}
}

// accept returns the batch of resp, or the error that resp ends the stream with. A batch at revision zero is no batch.
func (w *stream) accept(resp clientv3.WatchResponse) (kv.Batch, error) {
	if !w.store.identity.heard(w.history, headerOf(&resp)) {
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
			continue // not requested
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

// checkHeader returns an error if resp's header is older than what the stream has brought before. A member may lag behind
// other members, but never behind itself, and etcd's client resumes a watch only where it was.
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

// backwards is the error of a stream that contradicts what it has brought before.
func backwards(format string, args ...any) error {
	return &kv.OpError{Reason: kv.ErrReset, Cause: fmt.Errorf(format, args...)}
}

// probeTimeout bounds the read of silence.
const probeTimeout = 5 * time.Second

// silence returns why the channel of a watch was closed without a reason. Either the client was closed, or clientv3 has dropped
// the reason: when a watch ends, it drops everything that the consumer has not taken.
func (w *stream) silence(heard bool) error {
	switch {
	case w.store.isClosed():
		return &kv.OpError{Reason: kv.ErrClosed}
	case w.store.closed != nil || heard:
		return &kv.OpError{Reason: kv.ErrUnavailable, Cause: errSilence}
	}
	// This client does not report that it is closed, but a request to it fails then.
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

// event returns e as an event of package kv.
func event(e *clientv3.Event) kv.Event {
	if e.Type == clientv3.EventTypeDelete {
		return kv.Event{Type: kv.EventDelete, Entry: kv.Entry{
			Key:         string(e.Kv.Key),
			ModRevision: kv.Revision(e.Kv.ModRevision),
		}}
	}
	return kv.Event{Type: kv.EventPut, Entry: entry(e.Kv)}
}
