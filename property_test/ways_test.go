package property_test

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"sync"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/property_test/internal/history"
)

// A way records what happened in a run: each fault, each failed call and each ended watch, in order. It has no keys, values, revisions or
// times. So the ways of two runs differ only if their faults or the places of the faults differ.
type way struct {
	mu    sync.Mutex
	sum   uint64
	steps int
}

var waySeed = maphash.MakeSeed()

// note adds to the way what happened.
func (w *way) note(who, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps++
	w.sum = maphash.Comparable(waySeed, [3]any{w.sum, who, what})
}

// fails adds a failed call, in the words of package kv.
func (w *way) fails(who string, err error) {
	if err == nil {
		return
	}
	for _, known := range []error{
		kv.ErrConflict, kv.ErrUnavailable, kv.ErrReset, kv.ErrCompacted, kv.ErrClosed, context.DeadlineExceeded, context.Canceled,
	} {
		if errors.Is(err, known) {
			w.note(who, known.Error())
			return
		}
	}
	w.note(who, err.Error())
}

// of returns a store that adds its failures to the way.
func (w *way) of(who string, store history.Store) history.Store {
	return wayfarer{store, w, who}
}

type wayfarer struct {
	history.Store
	way *way
	who string
}

func (s wayfarer) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	got, err := s.Store.Get(ctx, r)
	s.way.fails(s.who+" gets", err)
	return got, err
}

func (s wayfarer) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	rev, err := s.Store.Commit(ctx, ops...)
	s.way.fails(s.who+" commits", err)
	return rev, err
}

func (s wayfarer) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range s.Store.Watch(ctx, r, after) {
			s.way.fails(s.who+" watches", err)
			if !yield(b, err) {
				return
			}
		}
	}
}
