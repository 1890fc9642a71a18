package memory

import (
	"context"
	"fmt"
	"iter"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// watch is one running watch: its position, and the channel that wakes it. It runs in the goroutine that iterates.
type watch struct {
	// wake has room for one token, which is sent after there is something to do. The token may be stale, so the receiver
	// checks.
	wake chan struct{}

	// The store's mutex guards the fields below.

	from     int64 // changes before this revision are not wanted
	pending  int64 // all undelivered changes in range are at this revision or later; zero if there are none
	bookmark int64 // the bookmark to deliver, or zero; it precedes every pending change
	ended    error // the reason why the store ended the watch and removed it from the index
	place    mvcc.Place[*watch]
}

// Place implements [mvcc.Watch].
func (w *watch) Place() *mvcc.Place[*watch] { return &w.place }

// wake wakes watches. The caller must not hold the store's mutex: a woken watch first locks it.
func wake(watches []*watch) {
	for _, w := range watches {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Watch yields the changes of r after the revision after. A batch holds at most 1,000 revisions and about a megabyte of
// values, or one larger revision. Bookmarks come only on request: see [Store.RequestProgress].
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return s.WatchAcknowledged(ctx, r, after, func() {})
}

// WatchAcknowledged implements [kv.Acknowledger]. It is [Store.Watch], and calls acknowledged when the watch is in the index
// that writes look at. That is immediately.
func (s *Store) WatchAcknowledged(ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		keys := keysOf(r)
		w, err := s.startWatch(ctx, r, after)
		if err == nil {
			defer s.stopWatch(w, keys)
			acknowledged()
		}
		for err == nil {
			var batch kv.Batch
			batch, err = s.next(ctx, w, keys)
			if err == nil && !yield(batch, nil) {
				return
			}
		}
		yield(kv.Batch{}, fail(fmt.Sprintf("watch %v after %d", r, after), err))
	}
}

func (s *Store) startWatch(ctx context.Context, r kv.Range, after kv.Revision) (*watch, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if after < 0 {
		return nil, fmt.Errorf("%w: the revision is negative", kv.ErrInvalidRange)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	keys := keysOf(r)
	if err := s.tooLong(keys); err != nil {
		return nil, s.unlessClosed(err)
	}
	from := max(after, after+1) // the last possible revision has none after it
	w := &watch{wake: make(chan struct{}, 1), from: int64(from)}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, kv.ErrClosed
	case w.from < s.data.Compacted:
		return nil, &kv.CompactedError{Oldest: kv.Revision(s.data.Compacted)}
	case w.from <= s.data.Revision:
		w.pending = w.from
	case after > kv.Revision(s.data.Revision) && after <= s.lost:
		return nil, kv.ErrReset
	}
	s.watches.Add(keys, w)
	return w, nil
}

// stopWatch removes w from the store.
func (s *Store) stopWatch(w *watch, r mvcc.Range) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.ended == nil {
		s.watches.Remove(r, w)
	}
}

// endWatches ends all watches with reason and returns them, so that the caller can wake them. Holds mu.
func (s *Store) endWatches(reason error) []*watch {
	watches := make([]*watch, 0, s.watches.Len())
	for w := range s.watches.All() {
		w.ended = reason
		watches = append(watches, w)
	}
	s.watches = mvcc.NewIndex[*watch]()
	return watches
}

// batchBytes is the number of bytes of keys and values after which a batch is full.
const batchBytes = 1 << 20

// next waits for the next batch of w, or for the error that ends it.
func (s *Store) next(ctx context.Context, w *watch, r mvcc.Range) (kv.Batch, error) {
	var room [1]*mvcc.Record
	found := mvcc.Changes{MaxBytes: batchBytes, Records: room[:0]}
	for {
		if err := ctx.Err(); err != nil {
			return kv.Batch{}, err
		}
		bookmark, more, err := s.look(w, r, &found)
		switch {
		case err != nil:
			return kv.Batch{}, err
		case bookmark != 0:
			return kv.Batch{Revision: kv.Revision(bookmark)}, nil
		case more && !found.Full():
		case len(found.Records) > 0:
			return batch(found.Records), nil
		default:
			select {
			case <-w.wake:
			case <-ctx.Done():
			}
		}
	}
}

// look adds undelivered changes of w to found, as far as one look may, and reports whether there may be more. If there is a
// bookmark, look returns only the bookmark, which precedes all changes.
func (s *Store) look(w *watch, r mvcc.Range, found *mvcc.Changes) (bookmark int64, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case w.ended != nil:
		return 0, false, w.ended
	case w.bookmark != 0:
		bookmark, w.bookmark = w.bookmark, 0
		return bookmark, false, nil
	case w.pending == 0:
		return 0, false, nil
	case w.pending < s.data.Compacted:
		return 0, false, &kv.CompactedError{Oldest: kv.Revision(s.data.Compacted)}
	}
	w.pending = found.Collect(s.data, r, w.pending)
	return 0, w.pending != 0, nil
}

// batch returns the batch of records.
func batch(records []*mvcc.Record) kv.Batch {
	events := make([]kv.Event, len(records))
	for i, rec := range records {
		events[i] = event(rec)
	}
	return kv.Batch{Revision: events[len(events)-1].ModRevision, Events: events}
}
