package logkv

import (
	"context"
	"fmt"
	"iter"

	"github.com/watchkv/watchkv/kv"
)

// Watch implements [kv.Store]. It reads the log forward, one record at a time, so a slow consumer costs nothing.
func (s *Store) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		if err := s.watch(ctx, r, after, yield); err != nil {
			yield(kv.Batch{}, opError(fmt.Sprintf("watch %v after %d", r, after), err))
		}
	}
}

// watch yields the batches of a watch. It returns nil when the consumer stops.
func (s *Store) watch(ctx context.Context, r kv.Range, after kv.Revision, yield func(kv.Batch, error) bool) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if after < 0 {
		return fmt.Errorf("%w: negative revision", kv.ErrInvalidRange)
	}
	delivered, read := after, after // up to which revision the consumer knows all, and this loop
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		changes, grown, err := s.read(read)
		if err != nil {
			return err
		}
		batch := kv.Batch{Revision: read}
		if changes != nil {
			read++
			batch = kv.Batch{Revision: read, Events: eventsIn(r, changes)}
		}
		switch {
		case len(batch.Events) > 0, changes == nil && delivered < read:
			if !yield(batch, nil) {
				return nil
			}
			delivered = read
		case changes == nil:
			if err := s.pause(ctx, grown); err != nil {
				return err
			}
		}
	}
}

// read returns the changes of the revision after the given one. If there is none yet, it returns a channel that is closed when
// there may be one.
func (s *Store) read(after kv.Revision) (changes []change, grown <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, nil, err
	}
	switch l := s.log; {
	case after < l.Restored:
		return nil, nil, kv.ErrReset
	case after < l.Revision:
		return nil, nil, &kv.CompactedError{Oldest: l.Revision + 1}
	case after >= l.last:
		return nil, s.grown, nil
	default:
		rec, err := l.record(after + 1)
		return rec.Changes, nil, err
	}
}

func eventsIn(r kv.Range, changes []change) []kv.Event {
	var events []kv.Event
	for _, c := range changes {
		if r.Contains(string(c.Key)) {
			events = append(events, c.event())
		}
	}
	return events
}
