package conformance_test

import (
	"context"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// stalling is a store whose watches receive what is written while the store is cut off. They deliver it after the heal, and end a second
// later.
type stalling struct {
	*fault.Store
	memory *memory.Store

	mu     sync.Mutex
	healed chan struct{} // open while the store is cut off
}

func newStalling(m *memory.Store) *stalling {
	s := &stalling{Store: fault.New(m), memory: m, healed: make(chan struct{})}
	close(s.healed)
	return s
}

func (s *stalling) cut() (heal func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healed = make(chan struct{})
	refused := s.Fail(-1, kv.ErrUnavailable)
	return func() {
		refused.Remove()
		close(s.healed)
	}
}

// wait waits while the store is cut off, and reports whether it was.
func (s *stalling) wait(ctx context.Context) (late bool) {
	s.mu.Lock()
	healed := s.healed
	s.mu.Unlock()
	select {
	case <-healed:
		return false
	default:
	}
	select {
	case <-healed:
	case <-ctx.Done():
	}
	return true
}

func (s *stalling) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	type item struct {
		batch kv.Batch
		err   error
	}
	return func(yield func(kv.Batch, error) bool) {
		arrived := make(chan item, 100) // more than a check writes
		var receiving sync.WaitGroup
		defer receiving.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		receiving.Go(func() {
			defer close(arrived)
			for b, err := range s.Store.Watch(ctx, r, after) {
				arrived <- item{b, err}
			}
		})
		for late := false; !late || len(arrived) > 0; {
			i := <-arrived
			late = s.wait(ctx) || late
			if !yield(i.batch, i.err) || i.err != nil {
				return
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
		yield(kv.Batch{}, &kv.OpError{Store: "stalling", Op: "watch", Reason: kv.ErrUnavailable})
	}
}

// The end of the history that a watch needs may be noticed when the watch has delivered every event of its range: the store cannot know that
// what is gone was of other keys.
func TestAStoreThatNoticesACompactionAfterTheLastEventKeepsTheGuaranteesOfGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := conformance.Backend{
			Open:   func(conformance.T) conformance.Store { return newStalling(memory.New()) },
			Again:  func(_ conformance.T, s conformance.Store) conformance.Store { return newStalling(s.(*stalling).memory) },
			Commit: true,
			Compact: func(ctx context.Context, s conformance.Store, rev kv.Revision) error {
				synctest.Wait() // until everything has arrived
				return s.(*stalling).memory.Compact(ctx, rev)
			},
			Cut: func(_ context.Context, s conformance.Store) (func(context.Context) error, error) {
				heal := s.(*stalling).cut()
				return func(context.Context) error { heal(); return nil }, nil
			},
		}
		if err := conformance.Check(t.Context(), b, "V4/one-gap", "M4/compacted", "M8/one-gap"); err != nil {
			t.Error(err)
		}
	})
}
