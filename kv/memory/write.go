package memory

import (
	"context"
	"fmt"
	"strconv"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// Put sets key to value and returns the new revision.
func (s *Store) Put(ctx context.Context, key string, value []byte, conditions ...kv.Condition) (kv.Revision, error) {
	ops := [...]kv.Op{{Type: kv.EventPut, Key: key, Value: value, Conditions: conditions}}
	revision, err := s.write(ctx, ops[:])
	if err != nil {
		return 0, fail("put "+strconv.Quote(key), err)
	}
	return revision, nil
}

// Delete removes key and returns the new revision, or the current one if the key does not exist.
func (s *Store) Delete(ctx context.Context, key string, conditions ...kv.Condition) (kv.Revision, error) {
	ops := [...]kv.Op{{Type: kv.EventDelete, Key: key, Conditions: conditions}}
	revision, err := s.write(ctx, ops[:])
	if err != nil {
		return 0, fail("delete "+strconv.Quote(key), err)
	}
	return revision, nil
}

// Commit does all of ops in one revision, or none of them. Watches get the events of a commit in the order of its ops.
func (s *Store) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	revision, err := s.write(ctx, ops)
	if err != nil {
		return 0, fail(describeCommit(ops), err)
	}
	return revision, nil
}

func describeCommit(ops []kv.Op) string {
	switch len(ops) {
	case 0:
		return "commit of nothing"
	case 1:
		return "commit of " + strconv.Quote(ops[0].Key)
	}
	return fmt.Sprintf("commit of %q and %d more", ops[0].Key, len(ops)-1)
}

// write does ops in one revision, or none of them. Put, Delete and Commit all call it. If there are several mistakes, it
// reports the same one as kv/etcd: mistakes in ops come first, because the client finds them, then the size, which the
// server finds.
func (s *Store) write(ctx context.Context, ops []kv.Op) (kv.Revision, error) {
	if err := kv.ValidateOps(ops); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := s.tooLarge(ops); err != nil {
		return 0, s.unlessClosed(err)
	}
	var room [8]*watch
	revision, concerned, err := s.apply(ops, room[:0])
	wake(concerned)
	return revision, err
}

// apply does ops if their conditions hold, and appends to concerned the watches that have to be woken.
func (s *Store) apply(ops []kv.Op, concerned []*watch) (kv.Revision, []*watch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, nil, kv.ErrClosed
	}
	for i := range ops {
		if err := s.holds(&ops[i]); err != nil {
			return 0, nil, err
		}
	}
	revision := s.data.Revision + 1
	for i := range ops {
		if s.change(&ops[i], revision) {
			concerned = s.notify(ops[i].Key, revision, concerned)
		}
	}
	if s.data.Revision == revision {
		s.trim()
	}
	return kv.Revision(s.data.Revision), concerned, nil
}

// holds returns nil if all of op's conditions hold.
func (s *Store) holds(op *kv.Op) error {
	if len(op.Conditions) == 0 {
		return nil
	}
	var modify kv.Revision
	if old := s.data.Get(op.Key); old != nil {
		modify = kv.Revision(old.Modify)
	}
	for _, c := range op.Conditions {
		if !c.Holds(modify) {
			want, _ := c.ModRevision()
			return fmt.Errorf("%w: %q is at revision %d, not %d", kv.ErrConflict, op.Key, modify, want)
		}
	}
	return nil
}

// change does op at revision, and reports whether it changed anything.
func (s *Store) change(op *kv.Op, revision int64) bool {
	if op.Type == kv.EventPut {
		s.data.Put(op.Key, string(op.Value), 0, revision)
		return true
	}
	return s.data.Delete(op.Key, revision) != nil
}

// notify notes in the watches of key that key changed at revision, and appends to concerned the watches that have to be
// woken. A watch that already has changes pending reaches this change too, and is not woken.
func (s *Store) notify(key string, revision int64, concerned []*watch) []*watch {
	if s.watches.Len() == 0 {
		return concerned
	}
	var room [8]*mvcc.Group[*watch]
	for _, g := range s.watches.Find(key, room[:0]) {
		for _, w := range g.Watches {
			if w.pending == 0 && w.from <= revision {
				w.pending = revision
				concerned = append(concerned, w)
			}
		}
	}
	return concerned
}
