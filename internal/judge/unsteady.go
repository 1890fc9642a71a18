package judge

import (
	"context"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// unsteady is a store whose calls take random times. The times depend on a seed. So with another seed, concurrent calls run in another
// order, even in a bubble.
type unsteady struct {
	kv.Store
	seed  uint64
	calls atomic.Uint64
	most  time.Duration
	trace *Trace
}

// Calls of the store appear in a trace with these negative numbers. The numbers of readers are not negative.
const (
	getBegun = -1 - iota
	getAnswered
	watchBegun
	batchDelivered
	watchEnded
)

// Get is the store's.
func (s *unsteady) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	random := s.random()
	s.trace.note(getBegun, Nothing, 0)
	s.jostle(ctx, random)
	snapshot, err := s.Store.Get(ctx, r)
	s.trace.note(getAnswered, Nothing, snapshot.Revision)
	s.jostle(ctx, random)
	return snapshot, err
}

// Watch is the store's.
func (s *unsteady) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		random := s.random()
		s.trace.note(watchBegun, Nothing, after)
		defer s.trace.note(watchEnded, Nothing, after)
		s.jostle(ctx, random)
		for b, err := range s.Store.Watch(ctx, r, after) {
			s.trace.note(batchDelivered, Nothing, b.Revision)
			s.jostle(ctx, random)
			if !yield(b, err) {
				return
			}
		}
	}
}

// random returns the source of random numbers for one call.
func (s *unsteady) random() *rand.Rand { return rand.New(rand.NewPCG(s.seed, s.calls.Add(1)<<32)) }

// jostle lets other goroutines run for a random time, which may be zero.
func (s *unsteady) jostle(ctx context.Context, random *rand.Rand) {
	switch n := random.IntN(8); {
	case n < 3:
	case n < 7:
		for range n {
			runtime.Gosched()
		}
	default:
		timer := time.NewTimer(time.Duration(random.Int64N(int64(s.most))))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}
