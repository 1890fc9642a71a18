package mutants

import (
	"context"
	"iter"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

// databaseEventMutants do so with the events of a watch.
var databaseEventMutants = []mutation{
	{guarantee: "W1", name: "rides-out-a-cut-from-now-if-nothing-came-yet", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		began := m.now()
		return func(yield func(kv.Batch, error) bool) {
			came := false
			for b, err := range m.Store.Watch(ctx, r, after) {
				if healed, ok := m.known.Load("healed"); ok && !came && healed.(kv.Revision) > began {
					missed := func(e kv.Event) bool { return e.ModRevision <= healed.(kv.Revision) }
					if b.Events = slices.DeleteFunc(b.Events, missed); len(b.Events) == 0 && err == nil {
						continue
					}
				}
				came = true
				if !yield(b, err) {
					return
				}
			}
		}
	}}},
	{guarantee: "W4", name: "loses-what-lands-between-the-past-and-the-present", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			now := m.now()
			if after < now && after >= 0 {
				for b, err := range m.Store.Watch(ctx, r, after) {
					if !yield(b, err) || err != nil {
						return
					}
					if b.Revision >= now {
						after = b.Revision
						break
					}
				}
				after = max(after, m.now())
			}
			for b, err := range m.Store.Watch(ctx, r, after) {
				if !yield(b, err) {
					return
				}
			}
		}
	}}},
	{guarantee: "W4", name: "serves-a-sequence-to-one-consumer-at-a-time", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		turn := make(chan struct{}, 1)
		return func(yield func(kv.Batch, error) bool) {
			select {
			case turn <- struct{}{}:
			case <-ctx.Done():
				yield(kv.Batch{}, ctx.Err())
				return
			}
			defer func() { <-turn }()
			for b, err := range m.Store.Watch(ctx, r, after) {
				if !yield(b, err) {
					return
				}
			}
		}
	}}},
	{guarantee: "W4", name: "goes-on-where-the-iteration-before-has-ended", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for b, err := range m.Store.Watch(ctx, r, after) {
				if !yield(b, err) {
					return
				}
				after = max(after, b.Revision)
			}
		}
	}}},
	{guarantee: "W4", name: "takes-revision-zero-for-now", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		if after == 0 {
			after = m.now()
		}
		return m.Store.Watch(ctx, r, after)
	}}},
	{guarantee: "W4", name: "leaves-what-is-the-same-out-of-commits", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		return m.Store.Commit(ctx, slices.DeleteFunc(slices.Clone(ops), func(op kv.Op) bool {
			e, err := kv.GetKey(ctx, m.memory, op.Key)
			return err == nil && op.Type == kv.EventPut && len(op.Conditions) == 0 && string(e.Value) == string(op.Value)
		})...)
	}}},
	{guarantee: "W4", name: "shares-what-comes-among-watches-of-a-range", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return without(func(e kv.Event) bool {
			_, taken := m.known.LoadOrStore([2]any{r, e.ModRevision}, true)
			return taken && e.ModRevision%7 == 0
		})(m, ctx, r, after)
	}}},
	{guarantee: "W5", name: "sends-the-deletions-of-a-commit-after-its-puts", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		var all []kv.Batch
		for len(b.Events) > 0 {
			n := 0
			for n < len(b.Events) && b.Events[n].ModRevision == b.Events[0].ModRevision {
				n++
			}
			var puts, deletes []kv.Event
			for _, e := range b.Events[:n] {
				if e.Type == kv.EventPut {
					puts = append(puts, e)
				} else {
					deletes = append(deletes, e)
				}
			}
			all = append(append(all, batchOf(puts)...), batchOf(deletes)...)
			b.Events = b.Events[n:]
		}
		if all == nil {
			return []kv.Batch{b}
		}
		return all
	})}},
	{guarantee: "W5", name: "reads-the-past-in-pages-of-1000-events", broken: breakage{watch: paged(1000)}},
	{guarantee: "W6", name: "rides-out-one-lost-stream-and-loses-at-the-next", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		n := 0
		return resuming(func(m *mutant, last, _ kv.Revision) kv.Revision {
			if n++; n > 1 {
				return m.now()
			}
			return last
		})(m, ctx, r, after)
	}}},
	{guarantee: "W6", name: "rides-out-every-lost-stream-from-where-the-first-was-lost", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		first := kv.Revision(-1)
		return resuming(func(m *mutant, last, _ kv.Revision) kv.Revision {
			if first < 0 {
				first = last
			}
			return first
		})(m, ctx, r, after)
	}}},
	{guarantee: "W6", name: "sends-bookmarks-of-where-it-began", broken: breakage{watch: bookmarksBack}},
	{guarantee: "W7", name: "sends-bookmarks-of-where-it-began", broken: breakage{watch: bookmarksBack}},
	{guarantee: "W7", name: "says-the-highest-revision-ever-after-a-restore", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			high, _ := m.shared.LoadOrStore("high", b.Revision)
			top := max(high.(kv.Revision), b.Revision)
			m.shared.Store("high", top)
			if b.IsBookmark() {
				b.Revision = top
			}
			return []kv.Batch{b}
		})(m, ctx, r, after)
	}}},
	{guarantee: "W7", name: "says-the-store's-revision-in-bookmarks", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			if b.IsBookmark() {
				b.Revision = m.now()
			}
			return []kv.Batch{b}
		})(m, ctx, r, after)
	}}},
}

func paged(size int) watchFunc {
	return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		if len(b.Events) == 0 {
			return []kv.Batch{b}
		}
		var all []kv.Batch
		for page := range slices.Chunk(b.Events, size) {
			all = append(all, batchOf(page)...)
		}
		return all
	})
}

func bookmarksBack(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	n := 0
	return change(func(b kv.Batch, after kv.Revision) []kv.Batch {
		if b.IsBookmark() {
			if n++; n%2 == 1 {
				return []kv.Batch{{Revision: after}, b}
			}
		}
		return []kv.Batch{b}
	})(m, ctx, r, after)
}
