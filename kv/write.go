package kv

import (
	"context"
	"fmt"
)

// Writer is a store that can be written to, one key at a time. Its methods may be called concurrently.
type Writer interface {
	// Put sets key to value and returns the revision that did so. The value is copied before Put returns.
	//
	// With conditions, nothing is written and the error matches [ErrConflict] unless all of them hold at
	// that revision. An empty key is [ErrInvalidKey].
	Put(ctx context.Context, key string, value []byte, conditions ...Condition) (Revision, error)

	// Delete removes key and returns the revision that did so. Deleting a key that does not exist succeeds
	// and makes no revision: the one returned is then the store's current one.
	Delete(ctx context.Context, key string, conditions ...Condition) (Revision, error)
}

// Committer is a store that can change several keys in one revision. Find out by type assertion.
type Committer interface {
	// Commit does all of ops in one new revision, or, if a condition of any of them does not hold, none:
	// then the error matches [ErrConflict]. Conditions are about the store before the commit. Ops that
	// change nothing (no ops, or deletions of keys that do not exist) make no revision: the one returned is
	// then the store's current one. A key named by two ops is [ErrInvalidKey], an op of an unknown Type
	// [ErrUnsupported]; [ValidateOps] finds both.
	Commit(ctx context.Context, ops ...Op) (Revision, error)
}

// Condition is what must hold of a key for a write to it to happen. The zero Condition always holds.
type Condition struct {
	set bool
	mod Revision
}

// IfRevision holds while the key's ModRevision is rev: since the caller read an entry with that
// ModRevision nobody else has written it. The Revision of a [Snapshot] is the store's, and not what is asked for
// here. IfRevision(0) is [IfAbsent].
func IfRevision(rev Revision) Condition { return Condition{set: true, mod: rev} }

// IfAbsent holds while the key does not exist.
func IfAbsent() Condition { return IfRevision(0) }

// ModRevision returns the ModRevision the condition asks for, zero for an absent key; ok is false for the
// zero Condition, which asks for nothing. It is for writers of stores.
func (c Condition) ModRevision() (rev Revision, ok bool) { return c.mod, c.set }

// Holds reports whether c holds for a key whose ModRevision is mod, zero if it does not exist.
func (c Condition) Holds(mod Revision) bool { return !c.set || c.mod == mod }

// Op is one change in a [Committer.Commit]: a put or a deletion of one key. Make one with [PutOp] or
// [DeleteOp].
type Op struct {
	Type       EventType // EventPut or EventDelete
	Key        string
	Value      []byte      // of a put; copied before Commit returns
	Conditions []Condition // all must hold
}

// ValidateOps returns nil, or what is wrong with ops whatever the store holds, of several mistakes the first: an error that
// matches [ErrInvalidKey] for the empty key and for one that an op before has named, or [ErrUnsupported] for an op that is
// neither a put nor a deletion.
func ValidateOps(ops []Op) error {
	var named map[string]struct{}
	if len(ops) > 1 {
		named = make(map[string]struct{}, len(ops))
	}
	for i := range ops {
		key := ops[i].Key
		if err := ValidateKey(key); err != nil {
			return err
		}
		if t := ops[i].Type; t != EventPut && t != EventDelete {
			return fmt.Errorf("%w: an operation of type %d", ErrUnsupported, uint8(t))
		}
		if _, twice := named[key]; twice {
			return fmt.Errorf("%w: %.64q is named twice", ErrInvalidKey, key)
		}
		if named != nil {
			named[key] = struct{}{}
		}
	}
	return nil
}

// PutOp sets key to value, on conditions.
func PutOp(key string, value []byte, conditions ...Condition) Op {
	return Op{Type: EventPut, Key: key, Value: value, Conditions: conditions}
}

// DeleteOp removes key, on conditions.
func DeleteOp(key string, conditions ...Condition) Op {
	return Op{Type: EventDelete, Key: key, Conditions: conditions}
}
