package pgkv

import (
	"context"
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

const (
	// MaxKey is the largest number of bytes of a key. PostgreSQL has a limit for what an index holds.
	MaxKey = 2048
	// MaxWrite is the largest number of bytes of all keys and values of one write.
	MaxWrite = 16 << 20
)

// Put implements [kv.Writer]. It is one statement.
//
// If Put fails with [kv.ErrUnavailable], the write may have happened, or may still happen. Put does not retry, because a retry could overwrite what
// others have written since.
func (s *Store) Put(ctx context.Context, key string, value []byte, conditions ...kv.Condition) (kv.Revision, error) {
	rev, err := s.write(ctx, kv.PutOp(key, value, conditions...))
	return rev, failures.Op(ctx, fmt.Sprintf("put %q", key), err)
}

// Delete implements [kv.Writer].
func (s *Store) Delete(ctx context.Context, key string, conditions ...kv.Condition) (kv.Revision, error) {
	rev, err := s.write(ctx, kv.DeleteOp(key, conditions...))
	return rev, failures.Op(ctx, fmt.Sprintf("delete %q", key), err)
}

// Commit implements [kv.Committer]. It is one statement for any number of operations.
func (s *Store) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	rev, err := s.write(ctx, ops...)
	if err == nil {
		return rev, nil
	}
	var what strings.Builder
	for _, op := range ops {
		fmt.Fprintf(&what, " %q", op.Key)
	}
	return 0, failures.Op(ctx, "commit"+what.String(), err)
}

// write calls the procedure write. The procedure takes the lock, writes and commits, without another request of the client.
func (s *Store) write(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	if err := validate(ops); err != nil {
		return 0, err
	}
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	keys, values, conditions := make([][]byte, len(ops)), make([][]byte, len(ops)), make([]*int64, len(ops))
	for i, op := range ops {
		keys[i], conditions[i] = []byte(op.Key), required(op.Conditions)
		if op.Type == kv.EventPut {
			values[i] = append([]byte{}, op.Value...) // nil is a deletion
		}
	}
	before := s.histories.Known()
	var st state
	var conflict bool
	err := s.pool.QueryRow(ctx, s.config.sql("CALL {schema}.write($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint, NULL, NULL, NULL, NULL, NULL)"),
		keys, values, conditions, knownBefore(before)).Scan(append(st.fields(), &conflict)...)
	if err != nil {
		return 0, err
	}
	history := s.found(before, st)
	if conflict {
		return 0, kv.ErrConflict
	}
	s.histories.Return(history, st.revision)
	return st.revision, nil
}

func validate(ops []kv.Op) error {
	if err := kv.ValidateOps(ops); err != nil {
		return err
	}
	size := 0
	for _, op := range ops {
		if len(op.Key) > MaxKey {
			return fmt.Errorf("%w: a key of %d bytes", kv.ErrTooLarge, len(op.Key))
		}
		size += len(op.Key) + len(op.Value)
	}
	if size > MaxWrite {
		return fmt.Errorf("%w: a write of %d bytes", kv.ErrTooLarge, size)
	}
	return nil
}

// required returns the revision that all conditions require of a key, and nil if they require none.
func required(conditions []kv.Condition) (rev *int64) {
	for _, c := range conditions {
		mod, ok := c.ModRevision()
		if !ok {
			continue
		}
		if want := int64(mod); rev == nil {
			rev = &want
		} else if *rev != want {
			*rev = -1 // they cannot all hold
		}
	}
	return rev
}
