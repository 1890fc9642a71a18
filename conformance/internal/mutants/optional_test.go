package mutants

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// optionalMutants break what a store promises that offers more than it has to.
var optionalMutants = []mutation{
	{guarantee: "Stater", name: "returns-the-values", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		return m.Store.Get(ctx, r)
	}}},
	{guarantee: "Stater", name: "answers-from-a-cache", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Stat(ctx, r)
		if err != nil {
			return s, err
		}
		before, loaded := m.known.Swap(r, s)
		if loaded {
			s.Entries = slices.Clone(before.(kv.Snapshot).Entries)
		}
		return s, nil
	}}},
	{guarantee: "Stater", name: "says-nothing-but-the-revision", broken: breakage{stat: stated(func(_ *mutant, s *kv.Snapshot) {
		s.Entries = nil
	})}},
	{guarantee: "Stater", name: "leaves-out-versions", broken: breakage{stat: stated(func(_ *mutant, s *kv.Snapshot) {
		for i := range s.Entries {
			s.Entries[i].Version = 0
		}
	})}},
	{guarantee: "Stater", name: "stops-at-500-keys", broken: breakage{stat: stated(func(_ *mutant, s *kv.Snapshot) {
		s.Entries = s.Entries[:min(len(s.Entries), 500)]
	})}},
	{guarantee: "Stater", name: "reads-two-pages-at-two-revisions", broken: breakage{stat: stated(func(m *mutant, s *kv.Snapshot) {
		if len(s.Entries) < 100 {
			return
		}
		if first := m.swapPage(s.Entries[:len(s.Entries)/2]); first != nil {
			s.Entries = append(slices.Clone(first), s.Entries[len(s.Entries)/2:]...)
		}
	})}},
	{guarantee: "Stater", name: "fails-for-an-absent-key", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Stat(ctx, r)
		if err == nil && len(s.Entries) == 0 && single(r) {
			err = &kv.OpError{Store: "mutant", Op: "stat " + r.String(), Reason: kv.ErrNotFound}
		}
		return s, err
	}}},
	{guarantee: "Stater", name: "gives-no-nil-for-an-empty-range", broken: breakage{stat: stated(func(_ *mutant, s *kv.Snapshot) {
		if s.Entries == nil {
			s.Entries = []kv.Entry{}
		}
	})}},
	{guarantee: "Stater", name: "gives-no-revision-for-an-empty-range", broken: breakage{stat: stated(func(_ *mutant, s *kv.Snapshot) {
		if s.Entries == nil {
			s.Revision = 0
		}
	})}},
	{guarantee: "Stater", name: "reads-an-invalid-range-as-empty", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if r.Validate() != nil {
			return kv.Snapshot{Revision: m.now()}, nil
		}
		return m.Store.Stat(ctx, r)
	}}},
	{guarantee: "Stater", name: "does-not-heed-its-context", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		return m.Store.Stat(context.WithoutCancel(ctx), r)
	}}},

	{guarantee: "Acknowledger", name: "acknowledges-what-it-is-asked", broken: breakage{acknowledge: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
		return kv.WatchAcknowledged(ctx, struct{ kv.Store }{m}, r, after, acknowledged)
	}}},
	{guarantee: "Acknowledger", name: "acknowledges-what-it-has-sent", broken: breakage{acknowledge: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			if r.Validate() == nil && after >= 0 && ctx.Err() == nil {
				acknowledged()
			}
			m.Store.Watch(ctx, r, after)(yield)
		}
	}}},
	{guarantee: "Acknowledger", name: "never-acknowledges", broken: breakage{acknowledge: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, _ func()) iter.Seq2[kv.Batch, error] {
		return m.Store.Watch(ctx, r, after)
	}}},
	{guarantee: "Acknowledger", name: "acknowledges-at-the-first-batch", broken: breakage{acknowledge: acknowledgedBy(func(n int, _ error) bool { return n == 1 })}},
	{guarantee: "Acknowledger", name: "acknowledges-each-batch", broken: breakage{acknowledge: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for b, err := range m.Store.WatchAcknowledged(ctx, r, after, acknowledged) {
				if err == nil {
					acknowledged()
				}
				if !yield(b, err) {
					return
				}
			}
		}
	}}},
	{guarantee: "Acknowledger", name: "acknowledges-behind-the-first-batch", broken: breakage{acknowledge: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
		if after >= m.now() {
			return m.Store.WatchAcknowledged(ctx, r, after, acknowledged)
		}
		return acknowledgedBy(func(n int, err error) bool { return n == 2 })(m, ctx, r, after, acknowledged)
	}}},
	{guarantee: "Acknowledger", name: "acknowledges-in-another-goroutine", broken: breakage{acknowledge: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
		return m.Store.WatchAcknowledged(ctx, r, after, func() {
			var running sync.WaitGroup
			running.Go(acknowledged)
			running.Wait()
		})
	}}},
	{guarantee: "Acknowledger", name: "acknowledges-with-the-refusal", broken: breakage{acknowledge: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
		if r.Validate() == nil && after >= 0 && ctx.Err() == nil {
			return m.Store.WatchAcknowledged(ctx, r, after, acknowledged)
		}
		return acknowledgedBy(func(_ int, err error) bool { return err != nil })(m, ctx, r, after, acknowledged)
	}}},

	{guarantee: "W7", name: "answers-a-request-with-the-store's-revision", broken: breakage{
		progress: func(m *mutant, ctx context.Context) error {
			m.known.Store("requested", true)
			return m.Store.RequestProgress(ctx)
		},
		watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
			return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
				if _, requested := m.known.LoadAndDelete("requested"); requested {
					return []kv.Batch{{Revision: m.now()}, b}
				}
				return []kv.Batch{b}
			})(m, ctx, r, after)
		},
	}},
	{guarantee: "W7", name: "does-nothing-about-a-request", broken: breakage{progress: func(*mutant, context.Context) error { return nil }}},
}

func stated(f func(m *mutant, s *kv.Snapshot)) func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	return func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Stat(ctx, r)
		if err == nil {
			f(m, &s)
		}
		return s, err
	}
}

// acknowledgedBy makes a watch that is acknowledged by what it yields: by the nth, or by an error.
func acknowledgedBy(by func(n int, err error) bool) func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	return func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			n := 0
			for b, err := range m.Store.Watch(ctx, r, after) {
				if n++; by(n, err) {
					acknowledged()
				}
				if !yield(b, err) {
					return
				}
			}
		}
	}
}
