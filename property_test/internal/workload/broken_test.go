package workload_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/property_test/internal/history"
	"github.com/watchkv/watchkv/property_test/internal/workload"
)

func record(t *testing.T, store history.Store) error {
	t.Helper()
	w := workload.Workload{Prefix: "/", Seed: 1, Operations: 200, Timeout: time.Minute, Pause: 200 * time.Microsecond}
	for range 4 {
		w.Stores = append(w.Stores, store)
	}
	watchers := []workload.Watcher{{Name: "a watch", Store: store, Every: 2}}
	run, err := w.Record(t.Context(), watchers, func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return run.Judge()
}

func TestTheWorkloadAcceptsACorrectStore(t *testing.T) {
	leaktest.Check(t)
	if err := record(t, memory.New()); err != nil {
		t.Error(err)
	}
}

// The clients do enough to show each of these defects.
func TestTheWorkloadDetectsDefects(t *testing.T) {
	for name, test := range map[string]struct {
		store history.Store
		want  error
	}{
		"reads of a replica that lags":          {&lagging{Store: memory.New()}, history.ErrLinearizable},
		"writes that are acknowledged and lost": {&losing{Store: memory.New()}, history.ErrLostWrite},
		"writes that happen twice":              {&repeating{Store: memory.New()}, history.ErrWrittenTwice},
		"conditions that are not looked at":     {&unconditional{Store: memory.New()}, history.ErrCondition},
		"watches that begin too early":          {&stuttering{Store: memory.New()}, history.ErrResumable},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			if err := record(t, test.store); !errors.Is(err, test.want) {
				t.Errorf("the judge found %v, want %v", err, test.want)
			}
		})
	}
}

// nowAndThen selects every nth call.
type nowAndThen struct {
	mu    sync.Mutex
	calls int
}

func (n *nowAndThen) is(every int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
	return n.calls%every == 0
}

// lagging sometimes answers a read with the answer of the previous read.
type lagging struct {
	*memory.Store
	nowAndThen
	last sync.Map
}

func (s *lagging) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	if last, ok := s.last.Load(r); ok && s.is(5) {
		return last.(kv.Snapshot), nil
	}
	got, err := s.Store.Get(ctx, r)
	s.last.Store(r, got)
	return got, err
}

// losing sometimes writes something else than requested.
type losing struct {
	*memory.Store
	nowAndThen
}

func (s *losing) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	if s.is(20) {
		return s.Store.Put(ctx, "elsewhere", nil)
	}
	return s.Store.Commit(ctx, ops...)
}

// repeating sometimes writes once more after it has answered, like a client that repeats its requests.
type repeating struct {
	*memory.Store
	nowAndThen
}

func (s *repeating) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	rev, err := s.Store.Commit(ctx, ops...)
	if err == nil && s.is(20) {
		_, err = s.Store.Commit(ctx, unconditionally(ops)...)
	}
	return rev, err
}

// unconditional ignores conditions.
type unconditional struct{ *memory.Store }

func (s *unconditional) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	return s.Store.Commit(ctx, unconditionally(ops)...)
}

func unconditionally(ops []kv.Op) []kv.Op {
	free := make([]kv.Op, len(ops))
	for i, op := range ops {
		op.Conditions = nil
		free[i] = op
	}
	return free
}

// stuttering is a store whose resumed watches begin too early.
type stuttering struct{ *memory.Store }

func (s *stuttering) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return s.Store.Watch(ctx, r, max(after-1, 0))
}
