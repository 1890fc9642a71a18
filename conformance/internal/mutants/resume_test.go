package mutants

import (
	"context"
	"errors"
	"iter"

	"github.com/watchkv/watchkv/kv"
)

// resumeMutants are stores that try to be helpful: they go on by themselves after a failure or a gap, and get it
// wrong, or keep a buffer for a consumer that is slow.
var resumeMutants = []mutation{
	{guarantee: "W6", name: "watches-from-now-after-a-failure", broken: breakage{watch: resuming(func(m *mutant, _, _ kv.Revision) kv.Revision {
		return m.now()
	})}},
	{guarantee: "W6", name: "goes-on-after-the-revision-of-a-header", broken: breakage{watch: resuming(func(_ *mutant, _, header kv.Revision) kv.Revision {
		return header
	})}},
	{guarantee: "W6", name: "delivers-the-last-event-again-after-a-failure", broken: breakage{watch: resuming(func(_ *mutant, last, _ kv.Revision) kv.Revision {
		return last - 1
	})}},
	{guarantee: "W8", name: "reads-afresh-when-compacted-and-forgets-deletions", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for {
				var ended error
				for b, err := range m.Store.Watch(ctx, r, after) {
					if ended = err; errors.Is(err, kv.ErrCompacted) {
						break
					}
					after = max(after, b.Revision)
					if !yield(b, err) {
						return
					}
				}
				if !errors.Is(ended, kv.ErrCompacted) {
					return
				}
				now, err := m.memory.Get(ctx, r)
				if err != nil {
					return
				}
				b := kv.Batch{Revision: now.Revision}
				for _, e := range now.Entries {
					if e.ModRevision > after {
						b.Events = append(b.Events, kv.Event{Type: kv.EventPut, Entry: e})
					}
				}
				if after = now.Revision; !yield(b, nil) {
					return
				}
			}
		}
	}}},
	{guarantee: "W9", name: "delivers-what-is-at-the-revision-it-begins-after", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return m.Store.Watch(ctx, r, max(after-1, min(after, 0)))
	}}},
	{guarantee: "W11", name: "drops-events-when-its-buffer-is-full", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			buffer := make(chan item, 2)
			go func() {
				defer close(buffer)
				for b, err := range m.Store.Watch(ctx, r, after) {
					if err != nil {
						buffer <- item{err: err}
						return
					}
					select {
					case buffer <- item{b: b}:
					default:
					}
				}
			}()
			for i := range buffer {
				if !yield(i.b, i.err) {
					cancel()
					for range buffer {
					}
					return
				}
			}
		}
	}}},
}

// resuming is a watch that does not tell that its stream was lost, but goes on after a revision that next says: of
// the last event, and of what the store was at when it sent that.
func resuming(next func(m *mutant, last, header kv.Revision) kv.Revision) watchFunc {
	return func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			header := after
			for {
				lost := false
				for b, err := range m.Store.Watch(ctx, r, after) {
					if errors.Is(err, kv.ErrUnavailable) {
						lost = true
						break
					}
					after, header = max(after, b.Revision), m.now()
					if !yield(b, err) {
						return
					}
				}
				if !lost {
					return
				}
				after = next(m, after, header)
			}
		}
	}
}
