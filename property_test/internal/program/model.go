package program

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
)

// Model is a [Store] that is simple enough to see that it is right. It is a list of everything that has happened, with loops over it. It
// is slow. It forgets nothing: a compaction only sets a number. Make one with [NewModel].
type Model struct {
	mu        sync.Mutex
	revision  kv.Revision
	compacted kv.Revision
	events    events.List
	changed   chan struct{} // closed, and replaced, by each write
}

// NewModel returns a model of a new etcd cluster, which is at revision 1 and was not even compacted at revision 0.
func NewModel() *Model {
	return &Model{revision: 1, compacted: -1, changed: make(chan struct{})}
}

// Get implements [kv.Store].
func (m *Model) Get(_ context.Context, r kv.Range) (kv.Snapshot, error) {
	if err := r.Validate(); err != nil {
		return kv.Snapshot{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return kv.Snapshot{Revision: m.revision, Entries: events.Sorted(m.events.In(r).Entries())}, nil
}

// Put implements [kv.Writer].
func (m *Model) Put(ctx context.Context, key string, value []byte, conditions ...kv.Condition) (kv.Revision, error) {
	return m.Commit(ctx, kv.PutOp(key, value, conditions...))
}

// Delete implements [kv.Writer].
func (m *Model) Delete(ctx context.Context, key string, conditions ...kv.Condition) (kv.Revision, error) {
	return m.Commit(ctx, kv.DeleteOp(key, conditions...))
}

// Commit implements [kv.Committer].
func (m *Model) Commit(_ context.Context, ops ...kv.Op) (kv.Revision, error) {
	named := make(map[string]bool)
	for _, op := range ops {
		if op.Key == "" || named[op.Key] {
			return 0, fmt.Errorf("%w: %q", kv.ErrInvalidKey, op.Key)
		}
		named[op.Key] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.events.Entries()
	for _, op := range ops {
		for _, condition := range op.Conditions {
			if !condition.Holds(before[op.Key].ModRevision) {
				return 0, kv.ErrConflict
			}
		}
	}
	if made := events.Written(before, m.revision+1, ops...); len(made) > 0 {
		m.revision++
		m.events = append(m.events, made...)
		close(m.changed)
		m.changed = make(chan struct{})
	}
	return m.revision, nil
}

// Compact implements [Store].
func (m *Model) Compact(_ context.Context, at kv.Revision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case at <= m.compacted:
		return kv.ErrCompacted
	case at > m.revision:
		return ErrFuture
	}
	m.compacted = at
	return nil
}

// RequestProgress implements [Store]. It does nothing.
func (m *Model) RequestProgress(context.Context) error { return nil }

// Watch implements [kv.Store]: each batch is one revision.
func (m *Model) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		if err := m.refuse(r, after); err != nil {
			yield(kv.Batch{}, err)
			return
		}
		for ctx.Err() == nil {
			batch, changed := m.next(r, after)
			if !batch.IsBookmark() {
				if !yield(batch, nil) {
					return
				}
				after = batch.Revision
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
		yield(kv.Batch{}, ctx.Err())
	}
}

// refuse returns why a watch cannot begin, or nil.
func (m *Model) refuse(r kv.Range, after kv.Revision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch err := r.Validate(); {
	case err != nil:
		return err
	case after < 0:
		return kv.ErrInvalidRange
	case after+1 < m.compacted:
		return &kv.CompactedError{Oldest: m.compacted}
	}
	return nil
}

// next returns the events of the first revision after the given one that changed something in r. If there is none, it returns no events
// and a channel that is closed when there may be one.
func (m *Model) next(r kv.Range, after kv.Revision) (batch kv.Batch, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if next := m.events.In(r).After(after); len(next) > 0 {
		batch.Revision = next[0].ModRevision
		batch.Events = next.UpTo(batch.Revision)
	}
	return batch, m.changed
}
