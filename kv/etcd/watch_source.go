package etcd

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
)

// source is a watch of etcd's client. A watch of this package has several, one after the other.
type source struct {
	responses clientv3.WatchChan
	cancel    context.CancelFunc // ends the watch
	lane      *lane
	asked     question // when it was opened
	before    reached
	heard     bool // it has brought a response after its beginning
}

var (
	// errAgain ends a source that another source has to replace.
	errAgain = errors.New("open another watch")
	// errStopped is returned by a receive whose stop was closed.
	errStopped = errors.New("stopped")
	// errReplaced ends a watch whose history was replaced, as another answer has shown.
	errReplaced = &kv.OpError{Reason: kv.ErrReset}
)

// letGo ends the watch of etcd's client, if one is open.
func (w *watch) letGo() {
	if w.source != nil {
		w.source.cancel()
		w.store.lanes.release(w.source.lane)
		w.source = nil
	}
}

// receive returns the next batch of the source. It opens a source if there is none. Any error except errStopped ends the source.
//
// etcd can cut large responses into messages, but that takes time quadratic in the number of events:
// minutes for the changes of a few busy seconds. So receive requests cut responses only after a message was too large for
// the client. Such a message ends all watches of the client's stream, and does not say for which of them it was. So each of them continues
// from where it was, and after a second such message in a lane of its own. A message that is too large there is for this watch.
//
// If a request is too large, the error is the same. So a request that may be too large has its own lane from the beginning.
func (w *watch) receive(stop <-chan struct{}) (kv.Batch, error) {
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
	if !isOversize(err) {
		return kv.Batch{}, err
	}
	switch {
	case !w.fragment:
		if !w.apart {
			w.store.fragment.Store(true)
		}
		w.fragment = true
	case !w.apart:
		w.apart = true
	default:
		return kv.Batch{}, err
	}
	return kv.Batch{}, errAgain
}

// isLong reports whether the keys of r are so long that the request for a watch may be larger than a message.
func isLong(r kv.Range) bool {
	const long = 64 << 10
	key, rangeEnd := bounds(r)
	return len(key)+len(rangeEnd) > long
}

// open opens a source after the last batch of the watch.
func (w *watch) open(stop <-chan struct{}) error {
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
	if w.apart {
		in = newLane(laneNumbers.Add(1))
	}
	r := w.store.lanes.open(w.ctx, stop, in, p)
	switch {
	case r != nil:
	case w.ctx.Err() != nil:
		return w.ctx.Err()
	case w.store.isClosed():
		return &kv.OpError{Reason: kv.ErrClosed, Cause: w.store.whyClientClosed()}
	default:
		return errStopped
	}
	opened.responses, opened.cancel, opened.lane = r.responses, r.cancel, r.lane
	w.source = opened
	w.store.lanes.use(r.lane, canaryOf(p, rangeEnd))
	return nil
}

// fromSource returns the next batch of the source.
func (w *watch) fromSource(stop <-chan struct{}) (kv.Batch, error) {
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
			return kv.Batch{}, w.whyClosed(from.heard)
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

// probeTimeout bounds the read of whyClosed.
const probeTimeout = 5 * time.Second

// whyClosed returns why the channel of a source was closed without a reason. Either the client was closed, or clientv3 has dropped
// the reason: when a watch ends, it drops everything that the consumer has not taken.
func (w *watch) whyClosed(heard bool) error {
	switch {
	case w.store.isClosed():
		return &kv.OpError{Reason: kv.ErrClosed, Cause: w.store.whyClientClosed()}
	case w.store.closed != nil || heard:
		return &kv.OpError{Reason: kv.ErrUnavailable, Cause: errNoReason}
	}
	// This client does not report that it is closed, but a request to it fails then.
	ctx, cancel := context.WithTimeout(w.ctx, probeTimeout)
	defer cancel()
	key, rangeEnd := bounds(w.r)
	_, err := w.store.client.Get(ctx, key, clientv3.WithRange(rangeEnd), clientv3.WithLimit(1), clientv3.WithKeysOnly())
	if err != nil && w.ctx.Err() == nil && ctx.Err() == nil {
		return err
	}
	return &kv.OpError{Reason: kv.ErrUnavailable, Cause: errNoReason}
}

var errNoReason = errors.New("etcd's client ended the watch without a reason")
