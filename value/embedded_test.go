package value_test

import (
	"context"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// asked counts the calls that reach a store.
type asked struct{ gets, watches atomic.Int64 }

// inMemory and faulty embed a store and declare its methods, as tests of programs do to observe or change the calls.
type inMemory struct {
	*memory.Store
	*asked
}

func (s inMemory) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	s.gets.Add(1)
	return s.Store.Get(ctx, r)
}

func (s inMemory) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	s.watches.Add(1)
	return s.Store.Watch(ctx, r, after)
}

type faulty struct {
	*fault.Store
	*asked
}

func (s faulty) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	s.gets.Add(1)
	return s.Store.Get(ctx, r)
}

func (s faulty) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	s.watches.Add(1)
	return s.Store.Watch(ctx, r, after)
}

func TestAStoreThatEmbedsAnotherIsCalledItself(t *testing.T) {
	for name, embedding := range map[string]func(*memory.Store, *asked) kv.Store{
		"memory": func(m *memory.Store, a *asked) kv.Store { return inMemory{m, a} },
		"fault":  func(m *memory.Store, a *asked) kv.Store { return faulty{fault.New(m), a} },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "the Get and the Watch that a store declares are what a Value calls", func(w *world) {
				m, a := memory.New(), new(asked)
				large := []byte(strings.Repeat("x", 64<<10)) // so large that a check would use Stat if it could
				_, err := m.Put(w.Context(), w.key, large)
				w.must(err)
				watcher := watch(w, value.New(embedding(m, a), w.key, value.String))
				watcher.Gives(string(large))
				w.Settle()
				if a.watches.Load() != 1 {
					w.broken("a Value called Watch %d times, want once", a.watches.Load())
				}
				before := a.gets.Load()
				w.pass(90 * time.Second)
				if a.gets.Load() == before {
					w.broken("the check of a silent watch did not call Get")
				}
			})
		})
	}
}
