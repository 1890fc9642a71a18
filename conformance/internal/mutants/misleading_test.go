package mutants

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// misleadingMutants are stores that break what holds of the Values on top of them.
var misleadingMutants = []mutation{
	{guarantee: "V1", name: "watches-from-now", broken: breakage{watch: fromNow}},
	{guarantee: "V1", name: "gets-from-a-replica-that-knows-only-its-own-writes", broken: replica},
	{guarantee: "V3", name: "goes-silent-after-its-first-batch", broken: breakage{watch: goingSilent}},
	{guarantee: "V4", name: "loses-an-event-now-and-then", broken: breakage{watch: without(sometimes)}},
	{guarantee: "V5", name: "gets-from-a-replica-that-stands-still-now-and-then", broken: breakage{get: laggingNowAndThen}},
	{guarantee: "V6", name: "never-tells-of-deletions", broken: breakage{watch: withoutDeletions}},
	{guarantee: "V9", name: "outlives-its-context", broken: breakage{watch: outliving}},
	{guarantee: "V9", name: "calls-a-closed-store-unavailable", broken: breakage{
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			s, err := m.Store.Get(ctx, r)
			return s, unavailableIf(kv.ErrClosed)(err)
		},
		watch: failing(unavailableIf(kv.ErrClosed)),
	}},
	{guarantee: "W6", name: "calls-a-lost-stream-a-closed-store", broken: breakage{watch: failing(func(err error) error {
		if errors.Is(err, kv.ErrUnavailable) {
			return &kv.OpError{Store: "mutant", Op: "watch", Reason: kv.ErrClosed}
		}
		return err
	})}},
	{guarantee: "V12", name: "keeps-a-watch-for-a-while-that-has-ended", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			lives, cancel := context.WithCancel(context.Background())
			go func() {
				for range m.memory.Watch(lives, r, after) {
				}
			}()
			defer time.AfterFunc(2*patience, cancel)
			for b, err := range m.Store.Watch(ctx, r, after) {
				if !yield(b, err) {
					return
				}
			}
		}
	}}},
	{guarantee: "V13", name: "gives-entries-the-revision-of-the-get", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		for i := range s.Entries {
			s.Entries[i].ModRevision = s.Revision
		}
		return s, err
	}}},
	{guarantee: "V14", name: "goes-silent-after-its-first-batch", broken: breakage{watch: goingSilent}},
	{guarantee: "V15", name: "gets-from-a-replica-that-knows-only-its-own-writes", broken: replica},
	{guarantee: "V16", name: "counts-versions-on-across-deletion-in-events", broken: breakage{watch: versionsGoOn}},
}

// goingSilent is a watch that brings one batch with events, and hangs.
func goingSilent(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range m.Store.Watch(ctx, r, after) {
			if !yield(b, err) {
				return
			}
			if !b.IsBookmark() {
				silent(ctx, yield)
				return
			}
		}
	}
}

// laggingNowAndThen is a Get that goes back: every third is answered by a replica that has stood still since the first.
func laggingNowAndThen(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	s, err := m.Store.Get(ctx, r)
	if err != nil || len(s.Entries) == 0 {
		return s, err
	}
	n, _ := m.known.LoadOrStore("gets", 0)
	m.known.Store("gets", n.(int)+1)
	first, _ := m.known.LoadOrStore("first", s)
	if n.(int)%3 == 2 {
		return first.(kv.Snapshot), nil
	}
	return s, nil
}
