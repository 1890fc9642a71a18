package mutants

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// raceMutants are stores that are wrong for a moment: between two statements, or when a connection is lost in the middle of a
// write.
var raceMutants = []mutation{
	{guarantee: "Writer", name: "holds-a-lock-for-a-writer-that-has-vanished", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			lock, _ := m.shared.LoadOrStore("lock", make(chan struct{}, 1))
			row := lock.(chan struct{})
			select {
			case row <- struct{}{}: // the first statement locks
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			defer func() { <-row }()
			return m.Store.Put(ctx, key, value, conditions...) // and the second hangs where the store is cut off
		},
	}},
	{guarantee: "Writer", name: "puts-again-when-an-acknowledgement-is-lost", broken: breakage{put: puttingAgain}},
	{guarantee: "Writer", name: "puts-again-under-the-same-condition-when-an-acknowledgement-is-lost", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			if conditions == nil {
				return m.Store.Put(ctx, key, value)
			}
			return puttingAgain(m, ctx, key, value, conditions)
		},
	}},
	{guarantee: "W8", name: "looks-for-compaction-before-it-reads", broken: breakage{
		compact: compacting(0),
		watch: skippingGaps(func(m *mutant, _ *kv.CompactedError) bool {
			_, at := m.announced() // by the time that one statement reads, another has looked whether there was a compaction
			return time.Since(at) > time.Millisecond
		}),
	}},
	{guarantee: "W8", name: "deletes-history-before-it-announces-that", broken: breakage{
		compact: compacting(time.Millisecond),
		watch: skippingGaps(func(m *mutant, gone *kv.CompactedError) bool {
			rev, _ := m.announced()
			return gone.Oldest <= rev
		}),
	}},
}

// puttingAgain puts, and once more where the acknowledgement is lost.
func puttingAgain(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
	rev, err := m.memory.Put(ctx, key, value, conditions...)
	if _, cut := m.known.Load("cut"); !cut || err != nil {
		return rev, err
	}
	return m.Store.Put(ctx, key, value, conditions...) // when it is healed
}

// announcement is what a store says of its last compaction.
type announcement struct {
	revision kv.Revision
	at       time.Time
}

func (m *mutant) announced() (kv.Revision, time.Time) {
	a, ok := m.shared.Load("compacted")
	if !ok {
		return 0, time.Time{}
	}
	return a.(announcement).revision, a.(announcement).at
}

// compacting compacts, and announces that some time later.
func compacting(later time.Duration) func(m *mutant, ctx context.Context, rev kv.Revision) error {
	return func(m *mutant, ctx context.Context, rev kv.Revision) error {
		err := m.memory.Compact(ctx, rev)
		time.Sleep(later)
		m.shared.Store("compacted", announcement{rev, time.Now()})
		return err
	}
}

// skippingGaps makes a watch that reports a compaction only where it has noticed it. Else it goes on with what is left.
func skippingGaps(notices func(m *mutant, gone *kv.CompactedError) bool) watchFunc {
	return func(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
		return func(yield func(kv.Batch, error) bool) {
			for {
				var gone *kv.CompactedError
				for b, err := range m.Store.Watch(ctx, r, after) {
					if errors.As(err, &gone) && !notices(m, gone) {
						break
					}
					gone, after = nil, max(after, b.Revision)
					if !yield(b, err) {
						return
					}
				}
				if gone == nil {
					return
				}
				after = gone.Oldest - 1
			}
		}
	}
}
