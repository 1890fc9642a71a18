package mutants

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// databaseEndMutants do so with where a watch begins, whom it disturbs and how it ends.
var databaseEndMutants = []mutation{
	{guarantee: "W8", name: "says-that-more-is-gone-than-is", broken: breakage{watch: failing(func(err error) error {
		if c, ok := errors.AsType[*kv.CompactedError](err); ok && c.Oldest > 0 {
			return &kv.OpError{Store: "mutant", Op: "watch", Reason: &kv.CompactedError{Oldest: c.Oldest + 1}}
		}
		return err
	})}},
	{guarantee: "W8", name: "says-where-the-first-compaction-was", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return failing(func(err error) error {
			if c, ok := errors.AsType[*kv.CompactedError](err); ok {
				first, _ := m.shared.LoadOrStore("oldest", c.Oldest)
				return &kv.OpError{Store: "mutant", Op: "watch", Reason: &kv.CompactedError{Oldest: first.(kv.Revision)}}
			}
			return err
		})(m, ctx, r, after)
	}}},
	{guarantee: "W8", name: "says-that-compacted-is-unavailable-too", broken: breakage{watch: failing(also(kv.ErrCompacted, kv.ErrUnavailable))}},
	{guarantee: "W8", name: "ends-a-compacted-watch-without-telling-it-is-a-CompactedError", broken: breakage{watch: failing(func(err error) error {
		if errors.Is(err, kv.ErrCompacted) {
			return &kv.OpError{Store: "mutant", Op: "watch", Reason: kv.ErrCompacted}
		}
		return err
	})}},
	{guarantee: "W9", name: "begins-at-once-with-a-single-key", broken: breakage{watch: only(single, func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return m.Store.Watch(ctx, r, min(after, m.now()))
	})}},
	{guarantee: "W9", name: "rides-out-a-lost-stream-from-now", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return resuming(func(m *mutant, last, _ kv.Revision) kv.Revision { return min(last, m.now()) })(m, ctx, r, after)
	}}},
	{guarantee: "W9", name: "counts-over-the-last-revision-there-can-be", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		if after+1 < after {
			after = 0
		}
		return m.Store.Watch(ctx, r, after)
	}}},
	{guarantee: "W10", name: "selects-a-prefix-with-a-glob", broken: patterned(glob)},
	{guarantee: "W11", name: "makes-deletions-wait-for-consumers", broken: breakage{
		watch: holding,
		delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
			if err := m.free(ctx); err != nil {
				return 0, err
			}
			return m.Store.Delete(ctx, key, conditions...)
		},
	}},
	{guarantee: "W11", name: "makes-commits-wait-for-consumers", broken: breakage{
		watch: holding,
		commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
			if err := m.free(ctx); err != nil {
				return 0, err
			}
			return m.Store.Commit(ctx, ops...)
		},
	}},
	{guarantee: "W12", name: "ends-with-its-last-batch-beside-the-error", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			var last kv.Batch
			for b, err := range m.Store.Watch(ctx, r, after) {
				if err != nil {
					yield(last, err)
					return
				}
				if last = b; !yield(b, nil) {
					return
				}
			}
		}
	}}},
	{guarantee: "W12", name: "begins-when-it-is-called", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		next, stop := iter.Pull2(m.Store.Watch(ctx, r, after))
		b, err, ok := kv.Batch{}, error(nil), false
		began := make(chan struct{})
		go func() { b, err, ok = next(); close(began) }()
		return func(yield func(kv.Batch, error) bool) {
			<-began
			defer stop()
			for ok && yield(b, err) {
				b, err, ok = next()
			}
		}
	}}},
	{guarantee: "W12", name: "delivers-a-batch-before-it-looks-at-its-context", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		if ctx.Err() != nil {
			return m.Store.Watch(ctx, r, after)
		}
		return func(yield func(kv.Batch, error) bool) {
			if ctx.Err() == nil || after < 0 || after >= m.now() {
				m.Store.Watch(ctx, r, after)(yield)
				return
			}
			for b, err := range m.memory.Watch(context.WithoutCancel(ctx), r, after) {
				if yield(b, err) && err == nil {
					yield(kv.Batch{}, fmt.Errorf("watch %v: %w", r, ctx.Err()))
				}
				return
			}
		}
	}}},
	{guarantee: "W12", name: "leaves-a-goroutine-that-has-more-to-send", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			items := make(chan item)
			go func() {
				defer close(items)
				for b, err := range m.Store.Watch(ctx, r, after) {
					items <- item{b, err}
				}
			}()
			for i := range items {
				if ctx.Err() != nil {
					yield(kv.Batch{}, ctx.Err())
					return
				}
				if !yield(i.b, i.err) || i.err != nil {
					return
				}
			}
		}
	}}},
	{guarantee: "W12", name: "leaves-a-goroutine-of-each-watch-that-ends-while-cut-off", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			defer func() {
				if _, cut := m.known.Load("cut"); cut {
					go func() { <-time.After(time.Minute) }() // for an answer that was lost
				}
			}()
			m.Store.Watch(ctx, r, after)(yield)
		}
	}}},
	{guarantee: "W13", name: "tells-one-watch-of-each-range-only", broken: breakage{watch: goingOn(func(m *mutant, r kv.Range) decision {
		return func(last kv.Batch, err error) (kv.Revision, bool) {
			known := false
			if errors.Is(err, kv.ErrReset) {
				_, known = m.known.LoadOrStore(r, true)
			}
			return last.Revision, known
		}
	})}},
	{guarantee: "W13", name: "knows-of-the-first-restore-only", broken: breakage{watch: goingOn(func(m *mutant, _ kv.Range) decision {
		_, restored := m.shared.Load("restored")
		return func(last kv.Batch, err error) (kv.Revision, bool) {
			if errors.Is(err, kv.ErrReset) {
				m.shared.Store("restored", true)
			}
			return last.Revision, restored && errors.Is(err, kv.ErrReset)
		}
	})}},
	{guarantee: "W13", name: "does-not-count-a-bookmark-as-the-past", broken: breakage{watch: goingOn(func(*mutant, kv.Range) decision {
		return func(last kv.Batch, err error) (kv.Revision, bool) {
			return last.Revision, errors.Is(err, kv.ErrReset) && last.IsBookmark()
		}
	})}},
	{guarantee: "W13", name: "waits-for-a-revision-that-it-handed-out-and-lost", broken: breakage{watch: waitingFor(func(*mutant, kv.Revision) bool { return true })}},
	{guarantee: "W13", name: "forgets-the-revisions-that-its-watches-returned", broken: breakage{
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			s, err := m.Store.Get(ctx, r)
			m.shared.Store(s.Revision, true)
			return s, err
		},
		watch: waitingFor(func(m *mutant, after kv.Revision) bool {
			_, got := m.shared.Load(after)
			return !got
		}),
	}},
	{guarantee: "W13", name: "takes-the-future-for-lost-after-a-restore", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			if _, restored := m.shared.Load("restored"); restored && after > m.now() {
				yield(kv.Batch{}, &kv.OpError{Store: "mutant", Op: "watch " + r.String(), Reason: kv.ErrReset})
				return
			}
			failing(func(err error) error {
				if errors.Is(err, kv.ErrReset) {
					m.shared.Store("restored", true)
				}
				return err
			})(m, ctx, r, after)(yield)
		}
	}}},
	{guarantee: "W13", name: "says-that-a-reset-is-compacted-too", broken: breakage{watch: failing(also(kv.ErrReset, &kv.CompactedError{Oldest: 1}))}},
}

// waitingFor makes a watch that waits for the revision after which it begins, where waits says so, though that was of a history
// which was lost.
func waitingFor(waits func(m *mutant, after kv.Revision) bool) watchFunc {
	return func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			running := false
			for b, err := range m.Store.Watch(ctx, r, after) {
				if !running && errors.Is(err, kv.ErrReset) && waits(m, after) && after > m.now() {
					silent(ctx, yield)
					return
				}
				running = true
				if !yield(b, err) {
					return
				}
			}
		}
	}
}

// holding is a watch during whose yield writes of a kind wait; other watches do not.
func holding(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range m.Store.Watch(ctx, r, after) {
			m.known.Store(yieldKey{&b}, true)
			more := yield(b, err)
			m.known.Delete(yieldKey{&b})
			if !more {
				return
			}
		}
	}
}

// free waits until no consumer is busy.
func (m *mutant) free(ctx context.Context) error {
	for {
		busy := false
		m.known.Range(func(k, _ any) bool { _, busy = k.(yieldKey); return !busy })
		if !busy {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		runtime.Gosched()
	}
}

type yieldKey struct{ b *kv.Batch }
