package mutants

import (
	"context"
	"iter"
	"slices"
	"sync"
	"weak"

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
	// The queue has a bound, but not in bytes. The events are shared by the queues, and the store itself does not have them any more.
	{guarantee: "W11", name: "drops-the-oldest-of-ten-thousand-batches", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			const most = 10_000
			own, cancel := context.WithCancel(ctx)
			var mu sync.Mutex
			var queue [][]*kv.Event
			var ended error
			more, over := make(chan struct{}, 1), make(chan struct{})
			defer func() { cancel(); <-over }()
			go func() {
				defer close(over)
				for b, err := range m.Store.Watch(own, r, after) {
					mu.Lock()
					if ended = err; err == nil {
						queue = append(queue, m.sharedEvents(b.Events))
						queue = queue[max(0, len(queue)-most):]
					}
					mu.Unlock()
					select {
					case more <- struct{}{}:
					default:
					}
				}
			}()
			for range more {
				mu.Lock()
				come, err := queue, ended
				queue = nil
				mu.Unlock()
				for i, shared := range come {
					come[i] = nil
					var batch kv.Batch
					for _, e := range shared {
						batch.Revision, batch.Events = e.ModRevision, append(batch.Events, e.Clone())
					}
					if ctx.Err() == nil && len(shared) > 0 && !yield(batch, nil) {
						return
					}
				}
				if err != nil {
					yield(kv.Batch{}, err)
					return
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

// sharedEvents returns events of the store, each only once in memory, however many watches hold it.
func (m *mutant) sharedEvents(events []kv.Event) []*kv.Event {
	type id struct {
		key string
		rev kv.Revision
	}
	m.sharing.Lock()
	defer m.sharing.Unlock()
	shared := make([]*kv.Event, len(events))
	for i := range events {
		e := &events[i]
		if known, ok := m.known.Load(id{e.Key, e.ModRevision}); ok {
			shared[i] = known.(weak.Pointer[kv.Event]).Value()
		}
		if shared[i] == nil {
			own := e.Clone()
			shared[i] = &own
			m.known.Store(id{e.Key, e.ModRevision}, weak.Make(&own))
		}
	}
	return shared
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
