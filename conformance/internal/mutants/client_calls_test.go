package mutants

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

// clientCallMutants do so with writes and errors.
var clientCallMutants = []mutation{
	{guarantee: "Errors", name: "keeps-the-connection-of-each-get-that-ends-early", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		pool := m.pool(10)
		select {
		case pool <- struct{}{}:
		case <-ctx.Done():
			return kv.Snapshot{}, fmt.Errorf("get %v: %w", r, ctx.Err())
		}
		begun := ctx.Err() == nil
		s, err := m.Store.Get(ctx, r)
		if ctx.Err() == nil || !begun {
			<-pool
		}
		return s, err
	}}},
	{guarantee: "Writer", name: "takes-the-zero-condition-for-that-the-key-exists", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		if slices.Contains(conditions, kv.Condition{}) {
			if _, err := kv.GetKey(ctx, m.memory, key); err != nil {
				return 0, &kv.OpError{Store: "mutant", Op: "put " + key, Reason: kv.ErrConflict}
			}
		}
		return m.Store.Put(ctx, key, value, conditions...)
	}}},
	{guarantee: "Writer", name: "compares-versions", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			e, absent := kv.GetKey(ctx, m.memory, key)
			if len(conditions) == 1 && absent == nil {
				rev, _ := conditions[0].ModRevision()
				if version, ok := m.shared.Load(versionOf{key, rev}); ok && version == e.Version {
					conditions = nil
				}
			}
			rev, err := m.Store.Put(ctx, key, value, conditions...)
			if e, absent := kv.GetKey(ctx, m.memory, key); absent == nil {
				m.shared.Store(versionOf{key, e.ModRevision}, e.Version)
			}
			return rev, err
		},
	}},
	{guarantee: "Writer", name: "deletes-again-when-an-acknowledgement-is-lost", broken: breakage{delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
		rev, err := m.memory.Delete(ctx, key, conditions...)
		if _, cut := m.known.Load("cut"); !cut || err != nil {
			return rev, err
		}
		return m.Store.Delete(ctx, key, conditions...)
	}}},
	{guarantee: "Writer", name: "commits-again-when-an-acknowledgement-is-lost", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		rev, err := m.memory.Commit(ctx, ops...)
		if _, cut := m.known.Load("cut"); !cut || err != nil {
			return rev, err
		}
		return m.Store.Commit(ctx, ops...)
	}}},
	{guarantee: "Writer", name: "locks-the-keys-of-a-commit-in-its-order", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		if kv.ValidateOps(ops) != nil {
			return m.Store.Commit(ctx, ops...)
		}
		for _, op := range ops {
			lock, _ := m.shared.LoadOrStore("lock of "+op.Key, make(chan struct{}, 1))
			row := lock.(chan struct{})
			select {
			case row <- struct{}{}:
				defer func() { <-row }()
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			m.betweenStatements()
		}
		return m.Store.Commit(ctx, ops...)
	}}},
	{guarantee: "Writer", name: "makes-a-revision-for-a-watch", broken: breakage{watch: func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			if ctx.Err() == nil && r.Validate() == nil && after >= 0 {
				m.memory.Put(context.Background(), "watchers", nil)
			}
			m.Store.Watch(ctx, r, after)(yield)
		}
	}}},
	{guarantee: "Writer", name: "makes-a-revision-for-a-get-of-one-key", broken: breakage{get: got(func(m *mutant, r kv.Range, s *kv.Snapshot) {
		if single(r) {
			m.memory.Put(context.Background(), "last read", nil)
		}
	})}},
	{guarantee: "Errors", name: "calls-a-closed-store-unavailable-in-a-stat", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Stat(ctx, r)
		return s, unavailableIf(kv.ErrClosed)(err)
	}}},
	{guarantee: "Errors", name: "stats-regardless-of-the-context-while-cut-off", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if ctx.Err() == nil {
			ctx = context.WithoutCancel(ctx)
		}
		return m.Store.Stat(ctx, r)
	}}},
	{guarantee: "Errors", name: "summarizes-regardless-of-the-context-while-cut-off", broken: breakage{summarize: func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
		if ctx.Err() == nil {
			ctx = context.WithoutCancel(ctx)
		}
		return m.Store.Summarize(ctx, r, since, limit)
	}}},
	{guarantee: "Errors", name: "fails-a-get-with-the-end-of-another-context", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if ctx.Err() != nil || r.Validate() != nil {
			return m.Store.Get(ctx, r)
		}
		own := &flight{done: make(chan struct{})}
		if other, joined := m.known.LoadOrStore(r, own); joined {
			f := other.(*flight)
			select {
			case <-f.done:
			case <-ctx.Done():
				return kv.Snapshot{}, fmt.Errorf("get %v: %w", r, ctx.Err())
			}
			if f.err != nil {
				return kv.Snapshot{}, f.err
			}
			return m.Store.Get(ctx, r)
		}
		s, err := m.Store.Get(ctx, r)
		own.err = err
		m.known.Delete(r)
		close(own.done)
		return s, err
	}}},
}
