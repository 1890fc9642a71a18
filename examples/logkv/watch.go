package logkv

import (
	"context"
	"iter"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// Watch implements [kv.Store]. It reads the log forward, one record at a time, so a slow consumer costs nothing.
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return backend.Watch{Log: history{s}, Errors: failures, Poll: poll}.Batches(ctx, r, after)
}

// history is what a watch reads.
type history struct{ *Store }

// Read implements [backend.Log].
func (s history) Read(_ context.Context, after kv.Revision) (page backend.Page, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return page, err
	}
	switch l := s.log; {
	case after < l.Restored:
		return page, kv.ErrReset
	case after < l.Revision:
		return page, &kv.CompactedError{Oldest: l.Revision + 1}
	case after >= l.last:
		return backend.Page{UpTo: l.last}, nil
	default:
		rec, err := l.record(after + 1)
		return backend.Page{UpTo: after + 1, Events: events(rec), More: after+1 < l.last}, err
	}
}

// Wait implements [backend.Log].
func (s history) Wait(ctx context.Context, after kv.Revision) error {
	s.mu.Lock()
	grown, last := s.grown, s.log.last
	s.mu.Unlock()
	if last > after {
		return nil
	}
	return s.pause(ctx, grown)
}

func events(rec record) []kv.Event {
	var events []kv.Event
	for _, c := range rec.Changes {
		events = append(events, c.event())
	}
	return events
}
