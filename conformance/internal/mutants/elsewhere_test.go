package mutants

import (
	"context"
	"iter"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// elsewhereMutants break what another store over the same data has to do with a watch.
var elsewhereMutants = []mutation{
	{guarantee: "W4", name: "wakes-its-watches-only-when-it-is-used-itself", broken: breakage{
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			s, err := m.Store.Get(ctx, r)
			m.horizon().reach(s.Revision)
			return s, err
		},
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			rev, err := m.Store.Put(ctx, key, value, conditions...)
			m.horizon().reach(rev)
			return rev, err
		},
		delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
			rev, err := m.Store.Delete(ctx, key, conditions...)
			m.horizon().reach(rev)
			return rev, err
		},
		commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
			rev, err := m.Store.Commit(ctx, ops...)
			m.horizon().reach(rev)
			return rev, err
		},
		watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
			return func(yield func(kv.Batch, error) bool) {
				m.horizon().reach(m.now())
				for b, err := range m.Store.Watch(ctx, r, after) {
					if err == nil {
						m.horizon().wait(ctx, b.Revision)
					}
					if !yield(b, err) {
						return
					}
				}
			}
		},
	}},
}

// horizon is how far a store has looked.
type horizon struct {
	mu      sync.Mutex
	at      kv.Revision
	reached chan struct{} // closed when it moves
}

func (m *mutant) horizon() *horizon {
	h, _ := m.known.LoadOrStore("horizon", &horizon{reached: make(chan struct{})})
	return h.(*horizon)
}

func (h *horizon) reach(rev kv.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if rev > h.at {
		h.at = rev
		close(h.reached)
		h.reached = make(chan struct{})
	}
}

// wait returns when the store has looked as far as rev, or ctx is done.
func (h *horizon) wait(ctx context.Context, rev kv.Revision) {
	for {
		h.mu.Lock()
		at, reached := h.at, h.reached
		h.mu.Unlock()
		if at >= rev {
			return
		}
		select {
		case <-reached:
		case <-ctx.Done():
			return
		}
	}
}
