package mutants

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// heldMutants are stores that hold more memory for a watch the more has happened.
var heldMutants = []mutation{
	{guarantee: "W11", name: "queues-without-bound-for-a-blocked-consumer", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			ctx, cancel := context.WithCancel(ctx)
			var mu sync.Mutex
			var queue []item
			more, over := make(chan struct{}, 1), make(chan struct{})
			defer func() { cancel(); <-over }()
			go func() {
				defer close(over)
				for b, err := range m.Store.Watch(ctx, r, after) {
					mu.Lock()
					queue = append(queue, item{b, err})
					mu.Unlock()
					select {
					case more <- struct{}{}:
					default:
					}
				}
			}()
			for {
				select {
				case <-more:
				case <-ctx.Done():
					yield(kv.Batch{}, ctx.Err())
					return
				}
				mu.Lock()
				come := queue
				queue = nil
				mu.Unlock()
				for _, i := range come {
					if err := ctx.Err(); err != nil {
						yield(kv.Batch{}, err)
						return
					}
					if !yield(i.b, i.err) || i.err != nil {
						return
					}
				}
			}
		}
	}}},
	{guarantee: "W11", name: "reads-the-past-as-a-whole", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for past := m.past(ctx, r, after); len(past) > 0 && ctx.Err() == nil; {
				revision := past[0].ModRevision
				n := slices.IndexFunc(past, func(e kv.Event) bool { return e.ModRevision != revision })
				if n < 0 {
					n = len(past)
				}
				batch := kv.Batch{Revision: revision, Events: slices.Clone(past[:n])}
				if past, after = past[n:], revision; !yield(batch, nil) {
					return
				}
			}
			m.Store.Watch(ctx, r, after)(yield)
		}
	}}},
}

// past returns all events in r after a revision, up to now. It returns none if some are forgotten.
func (m *mutant) past(ctx context.Context, r kv.Range, after kv.Revision) (events []kv.Event) {
	now := m.now()
	if after >= now {
		return nil
	}
	for b, err := range m.Store.Watch(ctx, kv.All(), after) {
		if err != nil {
			return nil
		}
		for _, e := range b.Events {
			if r.Contains(e.Key) {
				events = append(events, e)
			}
		}
		if b.Revision >= now {
			break
		}
	}
	return events
}
