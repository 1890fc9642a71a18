package mutants

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

// databaseWriteMutants do so with what a write or an error promises.
var databaseWriteMutants = []mutation{
	{guarantee: "Writer", name: "looks-at-the-first-condition-of-an-op-only", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		ops = slices.Clone(ops)
		for i := range ops {
			ops[i].Conditions = ops[i].Conditions[:min(1, len(ops[i].Conditions))]
		}
		return m.Store.Commit(ctx, ops...)
	}}},
	{guarantee: "Writer", name: "takes-the-zero-condition-in-a-commit-for-IfAbsent", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		ops = slices.Clone(ops)
		for i := range ops {
			ops[i].Conditions = slices.Clone(ops[i].Conditions)
			for j, c := range ops[i].Conditions {
				if c == (kv.Condition{}) {
					ops[i].Conditions[j] = kv.IfAbsent()
				}
			}
		}
		return m.Store.Commit(ctx, ops...)
	}}},
	{guarantee: "Writer", name: "takes-the-revision-of-a-deletion-for-the-key's", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		conditions = slices.Clone(conditions)
		for i, c := range conditions {
			if gone, ok := m.shared.Load("gone " + key); ok && c == kv.IfRevision(gone.(kv.Revision)) {
				conditions[i] = kv.IfAbsent()
			}
		}
		return m.Store.Put(ctx, key, value, conditions...)
	}, delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
		rev, err := m.Store.Delete(ctx, key, conditions...)
		if err == nil {
			m.shared.Store("gone "+key, rev)
		}
		return rev, err
	}}},
	{guarantee: "Writer", name: "returns-the-revision-of-a-deletion-again", broken: breakage{delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
		before := m.now()
		rev, err := m.Store.Delete(ctx, key, conditions...)
		if err != nil {
			return rev, err
		}
		if rev > before {
			m.shared.Store("gone "+key, rev)
		} else if gone, ok := m.shared.Load("gone " + key); ok {
			return gone.(kv.Revision), nil
		}
		return rev, nil
	}}},
	{guarantee: "Writer", name: "returns-the-revision-that-there-is-after-the-put", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		rev, err := m.Store.Put(ctx, key, value, conditions...)
		if err != nil {
			return rev, err
		}
		m.betweenStatements()
		return m.now(), nil
	}}},
	{guarantee: "Writer", name: "checks-the-condition-of-a-put-under-a-lock-of-its-own-process", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		if err := m.take(ctx); err != nil {
			return 0, err
		}
		defer m.give()
		if err := m.checkThenAct(ctx, []kv.Op{{Key: key, Conditions: conditions}}); err != nil {
			return 0, err
		}
		return m.Store.Put(ctx, key, value)
	}}},
	{guarantee: "Writer", name: "checks-the-condition-of-a-put-before-it-puts", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		if err := m.checkThenAct(ctx, []kv.Op{{Key: key, Conditions: conditions}}); err != nil {
			return 0, err
		}
		return m.Store.Put(ctx, key, value)
	}}},
	{guarantee: "Writer", name: "checks-the-condition-of-a-delete-before-it-deletes", broken: breakage{delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
		if err := m.checkThenAct(ctx, []kv.Op{{Key: key, Conditions: conditions}}); err != nil {
			return 0, err
		}
		return m.Store.Delete(ctx, key)
	}}},
	{guarantee: "Writer", name: "checks-the-conditions-of-a-commit-before-it-commits", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		if err := m.checkThenAct(ctx, ops); err != nil {
			return 0, err
		}
		return m.Store.Commit(ctx, unconditional(ops)...)
	}}},
	{guarantee: "Writer", name: "takes-a-lower-create-revision-for-the-condition", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		ops = slices.Clone(ops)
		for i, op := range ops {
			e, err := kv.GetKey(ctx, m.memory, op.Key)
			for j, c := range op.Conditions {
				if err == nil && c == kv.IfRevision(e.CreateRevision) {
					ops[i].Conditions = slices.Clone(op.Conditions)
					ops[i].Conditions[j] = kv.Condition{}
				}
			}
		}
		return m.Store.Commit(ctx, ops...)
	}}},
	{guarantee: "Writer", name: "takes-a-negative-revision-for-no-condition", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		return m.Store.Put(ctx, key, value, slices.DeleteFunc(slices.Clone(conditions), func(c kv.Condition) bool {
			rev, _ := c.ModRevision()
			return rev < 0
		})...)
	}}},
	{guarantee: "Errors", name: "calls-a-closed-store-unavailable-in-a-commit", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		rev, err := m.Store.Commit(ctx, ops...)
		return rev, unavailableIf(kv.ErrClosed)(err)
	}}},
	{guarantee: "Errors", name: "says-that-an-ended-context-has-no-permission", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		return s, also(context.Canceled, kv.ErrPermission)(err)
	}}},
	{guarantee: "Errors", name: "says-that-a-deadline-is-cancelled-too", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		return s, also(context.DeadlineExceeded, context.Canceled)(err)
	}}},
	{guarantee: "Errors", name: "says-that-a-conflict-is-unavailable-too", broken: breakage{put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		rev, err := m.Store.Put(ctx, key, value, conditions...)
		return rev, also(kv.ErrConflict, kv.ErrUnavailable)(err)
	}}},
	{guarantee: "Errors", name: "commits-what-it-knows-of-before-what-it-does-not", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		if i := slices.IndexFunc(ops, func(op kv.Op) bool { return op.Type > kv.EventDelete }); i > 0 {
			m.Store.Commit(ctx, ops[:i]...)
		}
		return m.Store.Commit(ctx, ops...)
	}}},
	{guarantee: "Errors", name: "does-not-mind-a-missing-key-deleted-twice", broken: breakage{commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		if len(ops) == 2 && ops[0].Key == ops[1].Key && ops[0].Type == ops[1].Type && ops[0].Type == kv.EventDelete {
			if _, err := kv.GetKey(ctx, m.memory, ops[0].Key); err != nil {
				ops = ops[:1]
			}
		}
		return m.Store.Commit(ctx, ops...)
	}}},
	{guarantee: "Errors", name: "returns-Canceled-for-a-deadline-that-passes-while-cut-off", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		begun := ctx.Err()
		s, err := m.Store.Get(ctx, r)
		if begun == nil && errors.Is(err, context.DeadlineExceeded) {
			err = &kv.OpError{Store: "mutant", Op: "get " + r.String(), Reason: context.Canceled}
		}
		return s, err
	}}},
	{guarantee: "Errors", name: "deletes-regardless-of-the-context-while-cut-off", broken: breakage{delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
		if ctx.Err() == nil {
			ctx = context.WithoutCancel(ctx)
		}
		return m.Store.Delete(ctx, key, conditions...)
	}}},
	{guarantee: "Errors", name: "ends-a-lost-stream-with-an-error-of-its-own", broken: breakage{watch: failing(func(err error) error {
		if errors.Is(err, kv.ErrUnavailable) {
			return &kv.OpError{Store: "mutant", Op: "watch", Reason: errors.New("EOF")}
		}
		return err
	})}},
}

// checkThenAct looks at conditions in a separate step.
func (m *mutant) checkThenAct(ctx context.Context, ops []kv.Op) error {
	for _, op := range ops {
		var mod kv.Revision
		if e, err := kv.GetKey(ctx, m.memory, op.Key); err == nil {
			mod = e.ModRevision
		}
		for _, c := range op.Conditions {
			if !c.Holds(mod) {
				return &kv.OpError{Store: "mutant", Op: "write " + op.Key, Reason: kv.ErrConflict}
			}
		}
	}
	m.betweenStatements()
	return nil
}

func also(match, other error) func(error) error {
	return func(err error) error {
		if errors.Is(err, match) {
			return fmt.Errorf("%w (%w)", err, other)
		}
		return err
	}
}

// unconditional is ops without their conditions.
func unconditional(ops []kv.Op) []kv.Op {
	ops = slices.Clone(ops)
	for i := range ops {
		ops[i].Conditions = nil
	}
	return ops
}
