package mutants

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// clientWatchMutants do so with a watch.
var clientWatchMutants = []mutation{
	{guarantee: "W10", name: "selects-by-UTF-16", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		if !interval(r) || r.Validate() != nil {
			return m.Store.Watch(ctx, r, after)
		}
		in := within(r, compareUTF16)
		return without(func(e kv.Event) bool { return !in(e.Key) })(m, ctx, kv.All(), after)
	}}},
	{guarantee: "W4", name: "reads-the-value-when-it-delivers", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			for i, e := range b.Events {
				if now, err := kv.GetKey(context.Background(), m.memory, e.Key); err == nil && e.Type == kv.EventPut {
					b.Events[i].Value = now.Value
				}
			}
			return []kv.Batch{b}
		})(m, ctx, r, after)
	}}},
	{guarantee: "W4", name: "keeps-a-full-page-until-there-is-more", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		past := m.past(ctx, r, after)
		if len(past) == 0 || len(past)%100 != 0 {
			return m.Store.Watch(ctx, r, after)
		}
		last := past[len(past)-1].ModRevision
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			if b.Revision >= last {
				m.untilMore(ctx, last)
			}
			return []kv.Batch{b}
		})(m, ctx, r, after)
	}}},
	{guarantee: "W4", name: "ends-the-past-at-a-page-without-events", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		const page = 500 // revisions
		past, now, end := m.past(ctx, r, after), m.now(), m.now()
		for at := after; at+page < now && end == now; at += page {
			if !slices.ContainsFunc(past, func(e kv.Event) bool { return at < e.ModRevision && e.ModRevision <= at+page }) {
				end = at
			}
		}
		return without(func(e kv.Event) bool { return end < e.ModRevision && e.ModRevision <= now })(m, ctx, r, after)
	}}},
	{guarantee: "W4", name: "reads-past-numbers-that-become-visible-late", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			rev, err := m.Store.Put(ctx, key, value, conditions...)
			if rev%3 == 0 {
				m.betweenStatements()
			}
			m.shared.Store(rev, true)
			return rev, err
		},
		watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
			return without(func(e kv.Event) bool {
				_, visible := m.shared.Load(e.ModRevision)
				return e.Type == kv.EventPut && e.ModRevision%3 == 0 && !visible && m.now() > e.ModRevision
			})(m, ctx, r, after)
		},
	}},
	{guarantee: "W2", name: "orders-revisions-as-strings", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		slices.SortStableFunc(b.Events, func(x, y kv.Event) int {
			return strings.Compare(fmt.Sprint(x.ModRevision), fmt.Sprint(y.ModRevision))
		})
		return []kv.Batch{b}
	})}},
	{guarantee: "W2", name: "merges-two-shards-as-they-come", broken: breakage{watch: twoShards}},
	{guarantee: "W5", name: "merges-two-shards-as-they-come", broken: breakage{watch: twoShards}},
	{guarantee: "W4", name: "loses-the-past-behind-two-megabytes", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		now, size := m.now(), 0
		return without(func(e kv.Event) bool {
			size += len(e.Value)
			return size > 2<<20 && e.ModRevision <= now
		})(m, ctx, r, after)
	}}},
	{guarantee: "W4", name: "ends-with-the-first-watch-of-its-range", broken: breakage{watch: joining(func(_ context.Context, yield func(kv.Batch, error) bool) {
		yield(kv.Batch{}, &kv.OpError{Store: "mutant", Op: "watch", Reason: context.Canceled})
	})}},
	{guarantee: "W4", name: "goes-silent-when-the-first-watch-of-its-range-ends", broken: breakage{watch: joining(silent)}},
	{guarantee: "W4", name: "wakes-one-watch-for-each-write", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			if _, taken := m.known.LoadOrStore(b.Revision, true); taken {
				m.untilMore(ctx, b.Revision)
			}
			return []kv.Batch{b}
		})(m, ctx, r, after)
	}}},
	{guarantee: "W4", name: "fails-again-when-it-is-iterated-again", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		var failed error
		return func(yield func(kv.Batch, error) bool) {
			if failed != nil {
				yield(kv.Batch{}, failed)
				return
			}
			for b, err := range m.Store.Watch(ctx, r, after) {
				if err != nil {
					failed = err
				}
				if !yield(b, err) {
					return
				}
			}
		}
	}}},
	{guarantee: "W12", name: "yields-its-error-in-the-first-iteration-only", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		told := false
		return func(yield func(kv.Batch, error) bool) {
			for b, err := range m.Store.Watch(ctx, r, after) {
				if err != nil && told {
					return
				}
				told = told || err != nil
				if !yield(b, err) {
					return
				}
			}
		}
	}}},
	{guarantee: "W9", name: "begins-at-once-with-an-interval", broken: breakage{watch: only(interval, func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return m.Store.Watch(ctx, r, min(after, m.now()))
	})}},
	{guarantee: "W8", name: "knows-of-its-own-compactions-only", broken: breakage{
		compact: func(m *mutant, ctx context.Context, rev kv.Revision) error {
			m.known.Store("compacted", true)
			return m.memory.Compact(ctx, rev)
		},
		watch: skippingGaps(func(m *mutant, _ *kv.CompactedError) bool { _, ok := m.known.Load("compacted"); return ok }),
	}},
	{guarantee: "W8", name: "jumps-over-what-was-compacted-of-an-interval", broken: breakage{watch: only(interval, skippingGaps(func(*mutant, *kv.CompactedError) bool { return false }))}},
	{guarantee: "W8", name: "jumps-over-what-was-compacted-of-one-key", broken: breakage{watch: only(single, skippingGaps(func(*mutant, *kv.CompactedError) bool { return false }))}},
	{guarantee: "W8", name: "jumps-over-what-was-compacted-of-all-keys", broken: breakage{watch: only(allKeys, skippingGaps(func(*mutant, *kv.CompactedError) bool { return false }))}},
	{guarantee: "W8", name: "jumps-over-one-compacted-revision", broken: breakage{watch: goingOn(func(m *mutant, r kv.Range) decision {
		return func(last kv.Batch, err error) (kv.Revision, bool) {
			var c *kv.CompactedError
			if errors.As(err, &c) && last.Revision == c.Oldest-2 {
				return c.Oldest - 1, true
			}
			return 0, false
		}
	})}},
	{guarantee: "W10", name: "delivers-all-of-a-commit-that-touches-its-range", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		if r.Validate() != nil {
			return m.Store.Watch(ctx, r, after)
		}
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			touched := make(map[kv.Revision]bool)
			for _, e := range b.Events {
				touched[e.ModRevision] = touched[e.ModRevision] || r.Contains(e.Key)
			}
			if b.IsBookmark() {
				return []kv.Batch{b}
			}
			return batchOf(slices.DeleteFunc(b.Events, func(e kv.Event) bool { return !touched[e.ModRevision] }))
		})(m, ctx, kv.All(), after)
	}}},
	{guarantee: "W12", name: "ends-with-the-cause-of-its-context", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		began := ctx.Err()
		return failing(func(err error) error {
			if began == nil && ctx.Err() != nil {
				return &kv.OpError{Store: "mutant", Op: "watch " + r.String(), Reason: context.Cause(ctx)}
			}
			return err
		})(m, ctx, r, after)
	}}},
	{guarantee: "W12", name: "does-not-look-at-what-yield-returns", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for b, err := range m.Store.Watch(ctx, r, after) {
				yield(b, err)
			}
		}
	}}},
	{guarantee: "W12", name: "panics", broken: breakage{watch: func(*mutant, context.Context, kv.Range, kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(func(kv.Batch, error) bool) { panic("index out of range") }
	}}},
	{guarantee: "W12", name: "returns-no-sequence", broken: breakage{watch: func(*mutant, context.Context, kv.Range, kv.Revision) iter.Seq2[kv.Batch, error] { return nil }}},
	{guarantee: "W12", name: "calls-yield-after-the-end", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			subscription, unsubscribe := context.WithCancel(context.WithoutCancel(ctx))
			defer time.AfterFunc(2*patience, unsubscribe)
			over := make(chan struct{})
			go func() { // the client calls back
				ended := sync.OnceFunc(func() { close(over) })
				for b, err := range m.Store.Watch(subscription, r, after) {
					if !yield(b, err) {
						ended()
					}
				}
				ended()
			}()
			select {
			case <-over:
			case <-ctx.Done():
				yield(kv.Batch{}, ctx.Err())
			}
		}
	}}},
	{guarantee: "W8", name: "leaves-a-goroutine-of-a-watch-that-is-compacted", broken: breakage{watch: leavingGoroutine(func(_ context.Context, _ int, err error) bool { return errors.Is(err, kv.ErrCompacted) })}},
	{guarantee: "W12", name: "leaves-a-goroutine-of-a-watch-that-is-refused", broken: breakage{watch: leavingGoroutine(func(_ context.Context, _ int, err error) bool {
		return errors.Is(err, kv.ErrInvalidKey) || errors.Is(err, kv.ErrInvalidRange)
	})}},
	{guarantee: "W12", name: "leaves-a-goroutine-of-a-watch-that-lost-its-stream", broken: breakage{watch: leavingGoroutine(func(_ context.Context, _ int, err error) bool { return errors.Is(err, kv.ErrUnavailable) })}},
	{guarantee: "W12", name: "leaves-a-goroutine-of-a-watch-that-delivered-nothing", broken: breakage{watch: leavingGoroutine(func(ctx context.Context, n int, err error) bool { return err != nil && n == 0 && ctx.Err() != nil })}},
	{guarantee: "W12", name: "keeps-the-connection-of-each-watch-that-ends-while-cut-off", broken: breakage{
		watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
			return func(yield func(kv.Batch, error) bool) {
				m.Store.Watch(ctx, r, after)(yield)
				if _, cut := m.known.Load("cut"); cut {
					select {
					case m.pool(20) <- struct{}{}:
					default:
					}
				}
			}
		},
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			pool := m.pool(20)
			select {
			case pool <- struct{}{}:
			case <-ctx.Done():
				return kv.Snapshot{}, fmt.Errorf("get %v: %w", r, ctx.Err())
			}
			defer func() { <-pool }()
			return m.Store.Get(ctx, r)
		},
	}},
	{guarantee: "W10", name: "cleans-the-path-of-a-prefix", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return m.Store.Watch(ctx, cleaned(r), after)
	}}},
	{guarantee: "W13", name: "tells-watches-of-prefixes-only", broken: breakage{watch: only(func(r kv.Range) bool { _, ok := r.Prefix(); return !ok }, goingOn(func(*mutant, kv.Range) decision {
		return func(last kv.Batch, err error) (kv.Revision, bool) { return last.Revision, errors.Is(err, kv.ErrReset) }
	}))}},
	{guarantee: "W3", name: "delivers-events-of-one-key-twice", broken: breakage{watch: only(single, change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		return []kv.Batch{b, b}
	}))}},
	{guarantee: "W4", name: "does-not-tell-a-watch-of-one-key-of-commits", broken: notTellingOfCommits(single, kv.EventPut, kv.EventDelete)},
	{guarantee: "W4", name: "does-not-tell-a-watch-of-one-key-of-deletions-in-commits", broken: notTellingOfCommits(single, kv.EventDelete)},
	{guarantee: "W4", name: "does-not-tell-a-watch-of-an-interval-of-commits", broken: notTellingOfCommits(interval, kv.EventPut, kv.EventDelete)},
	{guarantee: "W6", name: "watches-one-key-from-now-after-a-failure", broken: breakage{watch: only(single, resuming(func(m *mutant, _, _ kv.Revision) kv.Revision {
		return m.now()
	}))}},
	{guarantee: "W11", name: "makes-watches-of-other-stores-wait-for-consumers", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for b, err := range m.Store.Watch(ctx, r, after) {
				for m.waitsForOthers() && ctx.Err() == nil {
					time.Sleep(20 * time.Microsecond)
				}
				m.shared.Store(yieldKey{&b}, m)
				more := yield(b, err)
				m.shared.Delete(yieldKey{&b})
				if !more {
					return
				}
			}
		}
	}}},
	{guarantee: "Acknowledger", name: "begins-at-once-where-it-should-wait", broken: breakage{acknowledge: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
		return m.Store.WatchAcknowledged(ctx, r, min(after, m.now()), acknowledged)
	}}},
}

// notTellingOfCommits makes a store whose watches of some ranges do not deliver the events of commits that have one of the types.
func notTellingOfCommits(of func(r kv.Range) bool, types ...kv.EventType) breakage {
	return breakage{
		commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
			if err := m.take(ctx); err != nil { // so that no watch sees the commit before it is known as one
				return 0, err
			}
			defer m.give()
			rev, err := m.Store.Commit(ctx, ops...)
			m.shared.Store(commitAt(rev), true)
			return rev, err
		},
		watch: only(of, func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
			return without(func(e kv.Event) bool {
				if m.take(ctx) == nil {
					m.give()
				}
				_, committed := m.shared.Load(commitAt(e.ModRevision))
				return committed && slices.Contains(types, e.Type)
			})(m, ctx, r, after)
		}),
	}
}

// commitAt is the key under which a mutant remembers that a revision is a commit.
type commitAt kv.Revision

// waitsForOthers reports whether the consumer of another store over the same data is busy.
func (m *mutant) waitsForOthers() (busy bool) {
	m.shared.Range(func(k, by any) bool {
		_, yields := k.(yieldKey)
		busy = yields && by != m
		return !busy
	})
	return busy
}

// pool is a pool of n connections.
func (m *mutant) pool(n int) chan struct{} {
	pool, _ := m.known.LoadOrStore("pool", make(chan struct{}, n))
	return pool.(chan struct{})
}

// untilMore waits until the store is at a later revision.
func (m *mutant) untilMore(ctx context.Context, rev kv.Revision) {
	for m.now() <= rev && ctx.Err() == nil {
		time.Sleep(20 * time.Microsecond)
	}
}

// leavingGoroutine is a watch that leaves a goroutine where leaves says so: of the nth item, which is err if that is not nil.
func leavingGoroutine(leaves func(ctx context.Context, n int, err error) bool) watchFunc {
	return func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			n := 0
			for b, err := range m.Store.Watch(ctx, r, after) {
				if leaves(ctx, n, err) {
					go func() { <-time.After(time.Minute) }()
				}
				if n++; !yield(b, err) {
					return
				}
			}
		}
	}
}

// joining is a watch that joins the stream of the first running watch of its range. When that watch ends, left ends the others, or does not.
func joining(left func(ctx context.Context, yield func(kv.Batch, error) bool)) watchFunc {
	return func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			own, end := context.WithCancel(context.Background())
			defer end()
			first, joined := m.known.LoadOrStore(r, own)
			if !joined {
				defer m.known.Delete(r)
			}
			for b, err := range m.Store.Watch(ctx, r, after) {
				if joined && err == nil && first.(context.Context).Err() != nil {
					left(ctx, yield)
					return
				}
				if !yield(b, err) {
					return
				}
			}
		}
	}
}

// twoShards is a watch of two parts of the keys, each in order.
func twoShards(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		own, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		items := make(chan item)
		for shard := range byte(2) {
			running.Go(func() {
				for b, err := range without(func(e kv.Event) bool { return e.Key[len(e.Key)-1]%2 != shard })(m, own, r, after) {
					select {
					case items <- item{b, err}:
					case <-own.Done():
						return
					}
				}
			})
		}
		for {
			select {
			case i := <-items:
				if !yield(i.b, i.err) || i.err != nil {
					return
				}
			case <-ctx.Done():
				yield(kv.Batch{}, ctx.Err())
				return
			}
		}
	}
}
