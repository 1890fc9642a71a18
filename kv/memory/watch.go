package memory

import (
	"context"
	"fmt"
	"iter"

	"github.com/watchkv/watchkv/kv"
)

// watch is one running watch: where it stands, and how to wake it. Its goroutine is the one that iterates.
type watch struct {
	// wake has room for one token, which is sent after there is something to do. It may be stale, so whoever
	// takes it looks for itself.
	wake chan struct{}

	// What follows belongs to the store's mutex.

	from     kv.Revision // changes before this one are not wanted
	pending  kv.Revision // nothing in range that is unseen happened before this one; zero if nothing is unseen
	bookmark kv.Revision // one to deliver, zero for none; from before anything that is pending
	ended    error       // why the store ended the watch and took it from the index
	group    *group      // where it is in the index, and at which place
	place    int
}

// wake tells each of watches, which must not be done while holding a store's mutex: the first thing that they do is
// to ask for it.
func wake(watches []*watch) {
	for _, w := range watches {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Watch yields what happened in r after the revision after. A batch holds at most 1,000 revisions and, unless a
// single revision is larger, about a megabyte of values.
// Bookmarks come only when asked for with [Store.RequestProgress].
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return s.WatchAcknowledged(ctx, r, after, func() {})
}

// WatchAcknowledged implements [kv.Acknowledger]. It is [Store.Watch], and calls acknowledged once the watch is among those
// that writes look at, which is at once.
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
	from := max(after, after+1) // the last revision there can be has none after it
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
	}
	s.watches.add(r, w)
	return w, nil
}

// stopWatch leaves nothing of w in the store.
func (s *Store) stopWatch(w *watch, r kv.Range) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.ended == nil {
		s.watches.remove(r, w)
	}
}

// endWatches ends all watches because of reason and returns them to be woken. Holds mu.
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
	// batchRevisions is the most revisions in a batch, the same as in etcd.
	batchRevisions = 1000
	// batchBytes is how many bytes of values in a batch are enough.
	batchBytes = 1 << 20
	// scanAtOnce is how many records of history a watch looks at before it lets others go on.
	scanAtOnce = 2048
)

// next waits for what w has to deliver, or for the reason to end it.
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

// look adds to found what w has not seen, as far as it can at once, and reports whether there may be more. A bookmark
// comes before anything that can be found.
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

// finding is what will be a batch.
type finding struct {
	records   []*record
	revisions int
	bytes     int
}

func (f *finding) enough() bool { return f.revisions >= batchRevisions || f.bytes >= batchBytes }

// full reports whether rec belongs into another batch.
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

// addAll adds records as far as they fit, and returns the revision to go on from, zero at the end.
func (f *finding) addAll(records []*record) kv.Revision {
	for _, rec := range records {
		if f.full(rec) {
			return rec.modify
		}
		f.add(rec)
	}
	return 0
}

// scan adds the records of r since the revision from, as far as they fit and as far as may be looked at at once. It
// returns the revision to go on from, zero at the end.
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
