package mutants

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// fromNow is a watch that begins when it is begun.
func fromNow(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	if after >= 0 {
		after = max(after, m.now())
	}
	return m.Store.Watch(ctx, r, after)
}

var withoutDeletions = without(func(e kv.Event) bool { return e.Type == kv.EventDelete })

// outliving is a watch that goes on, once its context has ended, for longer than the suite has patience.
func outliving(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		lives, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		stop := context.AfterFunc(ctx, func() { time.AfterFunc(2*patience, cancel) })
		defer stop()
		for b, err := range m.Store.Watch(lives, r, after) {
			if !yield(b, err) {
				return
			}
		}
	}
}

// repeating is a watch that looks for what is next from where it was, instead of behind that.
var repeating = breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range m.Store.Watch(ctx, r, after) {
			for yield(b, err) {
				if err != nil || b.IsBookmark() {
					break
				}
				if ctx.Err() != nil {
					yield(kv.Batch{}, ctx.Err())
					return
				}
			}
			return
		}
	}
}}

// watchMutants break what a Watch promises.
var watchMutants = []mutation{
	// which is to lose what lands between the Get and the Watch
	{guarantee: "W1", name: "watches-from-now", broken: breakage{watch: fromNow}},
	{guarantee: "W1", name: "skips-the-revision-after", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return m.Store.Watch(ctx, r, after+1)
	}}},
	{guarantee: "W2", name: "swaps-two-events", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		if n := len(b.Events); n > 2 {
			b.Events[0], b.Events[n-2] = b.Events[n-2], b.Events[0]
		}
		return []kv.Batch{b}
	})}},
	{guarantee: "W3", name: "delivers-events-twice", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		if len(b.Events) > 0 && slices.ContainsFunc(b.Events, sometimes) {
			return []kv.Batch{b, b}
		}
		return []kv.Batch{b}
	})}},
	{guarantee: "W3", name: "delivers-its-first-events-for-ever", broken: repeating},
	{guarantee: "W4", name: "loses-an-event-now-and-then", broken: breakage{watch: without(sometimes)}},
	{guarantee: "W4", name: "never-tells-of-deletions", broken: breakage{watch: withoutDeletions}},
	{guarantee: "W4", name: "keeps-only-the-newest-of-a-key-in-a-batch", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		last := make(map[string]kv.Revision)
		for _, e := range b.Events {
			last[e.Key] = e.ModRevision
		}
		if b.IsBookmark() {
			return []kv.Batch{b}
		}
		return batchOf(slices.DeleteFunc(b.Events, func(e kv.Event) bool { return e.ModRevision != last[e.Key] }))
	})}},
	{guarantee: "W5", name: "splits-a-commit-over-two-batches", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		if n := len(b.Events); n > 50 {
			return append(batchOf(b.Events[:50]), batchOf(b.Events[50:])...)
		}
		return []kv.Batch{b}
	})}},
	{guarantee: "W5", name: "splits-what-is-large", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		size := 0
		for i, e := range b.Events {
			if size += len(e.Value); size > 512<<10 && i+1 < len(b.Events) {
				return append(batchOf(b.Events[:i]), batchOf(b.Events[i:])...)
			}
		}
		return []kv.Batch{b}
	})}},
	{guarantee: "W6", name: "says-a-revision-too-low-to-go-on-after", broken: breakage{watch: change(func(b kv.Batch, after kv.Revision) []kv.Batch {
		if !b.IsBookmark() {
			b.Revision = max(after, b.Revision-1)
		}
		return []kv.Batch{b}
	})}},
	{guarantee: "W6", name: "says-the-store's-revision-to-go-on-after", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			b.Revision = m.now()
			return []kv.Batch{b}
		})(m, ctx, r, after)
	}}},
	{guarantee: "W7", name: "says-the-store's-revision", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
			b.Revision = m.now()
			return []kv.Batch{b}
		})(m, ctx, r, after)
	}}},
	{guarantee: "W7", name: "sends-bookmarks-ahead-of-events", broken: breakage{watch: change(func(b kv.Batch, _ kv.Revision) []kv.Batch {
		if len(b.Events) > 0 {
			return []kv.Batch{{Revision: b.Revision}, b}
		}
		return []kv.Batch{b}
	})}},
	{guarantee: "W8", name: "jumps-over-what-was-compacted", broken: breakage{watch: goingOn(func(*mutant, kv.Range) decision {
		return func(_ kv.Batch, err error) (kv.Revision, bool) {
			if compacted, ok := errors.AsType[*kv.CompactedError](err); ok {
				return compacted.Oldest - 1, true
			}
			return 0, false
		}
	})}},
	{guarantee: "W8", name: "says-nothing-when-compacted", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for b, err := range m.Store.Watch(ctx, r, after) {
				if errors.Is(err, kv.ErrCompacted) {
					silent(ctx, yield)
					return
				}
				if !yield(b, err) {
					return
				}
			}
		}
	}}},
	{guarantee: "W8", name: "names-a-revision-that-is-gone-too", broken: breakage{watch: failing(func(err error) error {
		if compacted, ok := errors.AsType[*kv.CompactedError](err); ok {
			return &kv.OpError{Store: "mutant", Op: "watch", Reason: &kv.CompactedError{Oldest: compacted.Oldest - 1}}
		}
		return err
	})}},
	{guarantee: "W9", name: "begins-at-once-where-it-should-wait", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return m.Store.Watch(ctx, r, min(after, m.now()))
	}}},
	{guarantee: "W10", name: "takes-the-neighbours-of-a-prefix", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		if from, to, bounded := r.Bounds(); bounded && strings.HasPrefix(r.String(), `"`) && strings.HasSuffix(r.String(), "*") {
			r = kv.Interval(from, to+"\x00") // the first key after the prefix, too
		}
		return m.Store.Watch(ctx, r, after)
	}}},
	{guarantee: "W10", name: "ends-an-interval-after-its-end", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		if from, to, bounded := r.Bounds(); bounded && strings.HasPrefix(r.String(), "[") && from < to {
			r = kv.Interval(from, to+"\x00")
		}
		return m.Store.Watch(ctx, r, after)
	}}},
	{guarantee: "W11", name: "makes-writers-wait-for-consumers", broken: breakage{
		watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
			return func(yield func(kv.Batch, error) bool) {
				for b, err := range m.Store.Watch(ctx, r, after) {
					if m.take(ctx) == nil {
						more := yield(b, err)
						m.give()
						if !more {
							return
						}
					}
				}
			}
		},
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			if err := m.take(ctx); err != nil {
				return 0, err
			}
			defer m.give()
			return m.Store.Put(ctx, key, value, conditions...)
		},
	}},
	{guarantee: "W11", name: "ends-a-watch-whose-consumer-is-slow", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for b, err := range m.Store.Watch(ctx, r, after) {
				before := m.now()
				if !yield(b, err) {
					return
				}
				if m.now() > before+50 {
					yield(kv.Batch{}, &kv.OpError{Store: "mutant", Op: "watch", Reason: kv.ErrUnavailable})
					return
				}
			}
		}
	}}},
	{guarantee: "W12", name: "outlives-its-context", broken: breakage{watch: outliving}},
	{guarantee: "W12", name: "leaves-a-goroutine", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		go func() { <-time.After(time.Minute) }() // much longer than the check takes
		return m.Store.Watch(ctx, r, after)
	}}},
	{guarantee: "W12", name: "leaves-a-function-with-the-context", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			context.AfterFunc(ctx, func() {}) // to wake the watch when its context ends
			m.Store.Watch(ctx, r, after)(yield)
		}
	}}},
	{guarantee: "W12", name: "leaves-a-derived-context", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			own, cancel := context.WithCancel(ctx)
			m.known.Store("cancel", cancel) // only the last is kept, and none is called
			m.Store.Watch(own, r, after)(yield)
		}
	}}},
	{guarantee: "W12", name: "goes-on-after-cancel-while-there-is-more", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			var all []kv.Batch
			now := m.now()
			for b, err := range m.Store.Watch(ctx, r, after) {
				if all = append(all, b); err == nil && b.Revision < now && after < now {
					continue
				}
				for _, b := range all {
					if err == nil && !yield(b, nil) {
						return
					}
				}
				all = nil
				if err != nil {
					yield(b, err)
					return
				}
			}
		}
	}}},
	{guarantee: "W12", name: "stops-without-an-error", broken: breakage{watch: failing(func(error) error { return nil })}},
	{guarantee: "W13", name: "goes-on-as-if-nothing-had-happened", broken: breakage{watch: goingOn(func(*mutant, kv.Range) decision {
		return func(last kv.Batch, err error) (kv.Revision, bool) { return last.Revision, errors.Is(err, kv.ErrReset) }
	})}},
	{guarantee: "W13", name: "leaves-an-idle-watch-silent", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			batches := 0
			for b, err := range m.Store.Watch(ctx, r, after) {
				if errors.Is(err, kv.ErrReset) && batches < 2 {
					<-ctx.Done()
					err = ctx.Err()
				}
				batches++
				if !yield(b, err) {
					return
				}
			}
		}
	}}},
	{guarantee: "W13", name: "says-that-it-is-unavailable", broken: breakage{watch: failing(unavailableIf(kv.ErrReset))}},
}
