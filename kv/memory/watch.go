package memory

import (
	"context"
	"fmt"
	"iter"

	"github.com/watchkv/watchkv/kv"
)

// watch is one running watch: its position, and the channel that wakes it. It runs in the goroutine that iterates.
type watch struct {
	// wake has room for one token, which is sent after there is something to do. The token may be stale, so the receiver
	// checks.
	wake chan struct{}

	// The store's mutex guards the fields below.

	from     kv.Revision // changes before this revision are not wanted
	pending  kv.Revision // all undelivered changes in range are at this revision or later; zero if there are none
	bookmark kv.Revision // the bookmark to deliver, or zero; it precedes every pending change
	ended    error       // the reason why the store ended the watch and removed it from the index
	group    *group      // the group of the watch in the index, and the position there
	place    int
}

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
		w, err := s.startWatch(ctx, r, after)
		if err == nil {
			defer s.stopWatch(w, r)
			acknowledged()
		}
		for err == nil {
			var batch kv.Batch
			batch, err = s.next(ctx, w, r)
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
	if err := s.tooLong(r); err != nil {
		return nil, s.unlessClosed(err)
	}
	from := max(after, after+1) // the last possible revision has none after it
	w := &watch{wake: make(chan struct{}, 1), from: from}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, kv.ErrClosed
	case w.from < s.compacted:
		return nil, &kv.CompactedError{Oldest: s.compacted}
	case w.from <= s.revision:
		w.pending = w.from
	case after > s.revision && after <= s.lost:
		return nil, kv.ErrReset
	}
	s.watches.add(r, w)
	return w, nil
}

// stopWatch removes w from the store.
func (s *Store) stopWatch(w *watch, r kv.Range) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.ended == nil {
		s.watches.remove(r, w)
	}
}

// endWatches ends all watches with reason and returns them, so that the caller can wake them. Holds mu.
func (s *Store) endWatches(reason error) []*watch {
	watches := make([]*watch, 0, s.watches.size)
	for w := range s.watches.all() {
		w.ended = reason
		watches = append(watches, w)
	}
	s.watches = newIndex()
	return watches
}

const (
	// batchRevisions is the largest number of revisions in a batch, the same as in etcd.
	batchRevisions = 1000
	// batchBytes is the number of bytes of values after which a batch is full.
	batchBytes = 1 << 20
	// scanAtOnce is how many records of history a watch scans before it lets other calls run.
	scanAtOnce = 2048
)

// next waits for the next batch of w, or for the error that ends it.
func (s *Store) next(ctx context.Context, w *watch, r kv.Range) (kv.Batch, error) {
	var room [1]*record
	found := finding{records: room[:0]}
	for {
		if err := ctx.Err(); err != nil {
			return kv.Batch{}, err
		}
		bookmark, more, err := s.look(w, r, &found)
		switch {
		case err != nil:
			return kv.Batch{}, err
		case bookmark != 0:
			return kv.Batch{Revision: bookmark}, nil
		case more && !found.enough():
		case len(found.records) > 0:
			return found.batch(), nil
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
func (s *Store) look(w *watch, r kv.Range, found *finding) (bookmark kv.Revision, more bool, err error) {
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
	case w.pending < s.compacted:
		return 0, false, &kv.CompactedError{Oldest: s.compacted}
	}
	if key, ok := r.Key(); ok {
		w.pending = found.addAll(s.history.ofKey(key, s.live.Get, w.pending))
	} else {
		w.pending = found.scan(&s.history, w.pending, r)
	}
	return 0, w.pending != 0, nil
}

// finding collects the records of a batch.
type finding struct {
	records   []*record
	revisions int
	bytes     int
}

func (f *finding) enough() bool { return f.revisions >= batchRevisions || f.bytes >= batchBytes }

// full reports whether rec belongs into the next batch.
func (f *finding) full(rec *record) bool {
	return f.enough() && f.records[len(f.records)-1].modify != rec.modify
}

func (f *finding) add(rec *record) {
	if n := len(f.records); n == 0 || f.records[n-1].modify != rec.modify {
		f.revisions++
	}
	f.records = append(f.records, rec)
	f.bytes += len(rec.key) + len(rec.value)
}

// addAll adds records until the batch is full. It returns the revision to continue from, or zero at the end.
func (f *finding) addAll(records []*record) kv.Revision {
	for _, rec := range records {
		if f.full(rec) {
			return rec.modify
		}
		f.add(rec)
	}
	return 0
}

// scan adds the records of r since the revision from, until the batch is full or scanAtOnce records were scanned. It returns
// the revision to continue from, or zero at the end.
func (f *finding) scan(h *history, from kv.Revision, r kv.Range) kv.Revision {
	first := h.since(from)
	for i := first; i < h.count; i++ {
		rec := h.at(i)
		if i-first >= scanAtOnce && rec.modify != h.at(i-1).modify {
			return rec.modify
		}
		if !r.Contains(rec.key) {
			continue
		}
		if f.full(rec) {
			return rec.modify
		}
		f.add(rec)
	}
	return 0
}

func (f *finding) batch() kv.Batch {
	events := make([]kv.Event, len(f.records))
	for i, rec := range f.records {
		events[i] = rec.event()
	}
	return kv.Batch{Revision: events[len(events)-1].ModRevision, Events: events}
}
