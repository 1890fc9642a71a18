package value_test

import (
	"context"
	"iter"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// tampered is a store whose watches deliver wrong batches.
type tampered struct {
	kv.Store

	mu     sync.Mutex
	change func(kv.Batch) []kv.Batch
	greet  func(after kv.Revision) []kv.Batch
	read   func(kv.Snapshot) kv.Snapshot
}

// tamper makes change replace every batch from now on. With nil, batches are delivered unchanged.
func (s *tampered) tamper(change func(kv.Batch) []kv.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = change
}

func (s *tampered) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.Store.Get(ctx, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.read != nil {
		snapshot = s.read(snapshot)
	}
	return snapshot, err
}

func (s *tampered) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		s.mu.Lock()
		greet := s.greet
		s.mu.Unlock()
		if greet != nil {
			for _, b := range greet(after) {
				if !yield(b, nil) {
					return
				}
			}
		}
		for b, err := range s.Store.Watch(ctx, r, after) {
			s.mu.Lock()
			change := s.change
			s.mu.Unlock()
			if err != nil || change == nil {
				if !yield(b, err) {
					return
				}
				continue
			}
			for _, b := range change(b) {
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}
