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
// etcd's client keeps what it received for a watch that does not ask, without a bound. So there is always somebody who
// asks. While the consumer waits that is the consumer itself, so that an update takes no way round. While it is busy
// with a batch for longer than a moment, a stand-in takes what comes, and keeps no more than a buffer holds: past that it lets go of
// etcd altogether, and the consumer opens another watch where the last one left off, once it has emptied the buffer.
type stream struct {
	store   *Store
	r       kv.Range
	after   kv.Revision
	history *history // which the revisions of this stream belong to

	// acknowledged is called when the first watch of the stream has begun; nil after that.
	acknowledged func()
	held         *buffer // what the stand-in has taken

	ctx    context.Context
	cancel context.CancelFunc
	close  func() // end, once

	// Owned by the stand-in while there is one, and by the consumer otherwise.
	source     *source     // nil while there is none
	fragment   bool        // etcd is to cut large responses into messages
	delivered  kv.Revision // the highest revision that was received and kept; zero at first
	byBookmark bool        // delivered is that of a bookmark
	terms      map[uint64]uint64

	standIn standIn
}

// source is a watch of etcd's client.
type source struct {
	responses clientv3.WatchChan
	cancel    context.CancelFunc // has the client let go of the watch
	lane      *lane
	asked     question // when it was opened
	before    reached
	heard     bool // more than that it has begun
}

var (
	// errAgain ends a source in whose place another is to be opened.
	errAgain = errors.New("open another watch")
	// errStopped is that of a receive that was told to stop.
	errStopped = errors.New("stopped")
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
	s.connection.use()
	w.close = sync.OnceFunc(w.end)
	return w
}

// end ends the stream, and whatever runs for it.
func (w *stream) end() {
	w.cancel()
	w.takeBack()
	w.letGo()
	w.store.connection.release()
}

// letGo ends the watch of etcd's client.
func (w *stream) letGo() {
	if w.source != nil {
		w.source.cancel()
		w.store.lanes.release(w.source.lane)
		w.source = nil
	}
}

// acknowledge says, once, that the watch has begun.
func (w *stream) acknowledge() {
	if w.acknowledged != nil {
		w.acknowledged()
		w.acknowledged = nil
	}
}

// took counts batch as kept: another source need not bring it again.
func (w *stream) took(batch kv.Batch) { w.delivered, w.byBookmark = batch.Revision, batch.IsBookmark() }

// receive returns what comes next, of a source that it opens if there is none. An error other than errStopped ends that.
//
// etcd can be asked to cut large responses into messages, but takes time quadratic in the number of events for it,
// which is minutes for the changes of a few busy seconds. So it is asked only once a message turned out to be too large for
// the client. That ends all watches of the client's stream; each goes on from where it was.
//
// It may also be the request that is too large, which looks the same. So one that could be has a lane of its own.
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

// isLong reports whether the keys of the watch's range alone could be more than fits into a message.
func (w *stream) isLong() bool {
	const long = 64 << 10
	key, rangeEnd := bounds(w.r)
	return len(key)+len(rangeEnd) > long
}

// open opens a watch of etcd's client, after what the stream has brought so far.
func (w *stream) open(stop <-chan struct{}) error {
	w.fragment = w.fragment || w.store.fragment.Load()
	key, rangeEnd := bounds(w.r)
	from := max(w.after, w.delivered)
	from = max(from, from+1) // at the last revision there can be, stay there
	p := &probe{client: w.store.client, closed: w.store.closed, key: key, opts: []clientv3.OpOption{
		clientv3.WithRange(rangeEnd), clientv3.WithRev(int64(from)), clientv3.WithProgressNotify(),
		clientv3.WithCreatedNotify(), // says where the member is, which may be before where it was
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

// fromSource returns what the source brings next.
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
			if !w.store.identity.opened(from.asked, from.before, header) {
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

// accept returns what resp brings, or the error it ends the stream with. A batch at revision zero is nothing.
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
func event(e *clientv3.Event) kv.Event {
	if e.Type == clientv3.EventTypeDelete {
		return kv.Event{Type: kv.EventDelete, Entry: kv.Entry{
			Key:         string(e.Kv.Key),
			ModRevision: kv.Revision(e.Kv.ModRevision),
		}}
	}
	return kv.Event{Type: kv.EventPut, Entry: entry(e.Kv)}
}
