package kv

import (
	"context"
	"fmt"
)

// Writer is a store that can be written to, one key at a time. Its methods may be called concurrently.
type Writer interface {
	// Put sets key to value and returns the new revision. The value is copied before Put returns.
	//
	// With conditions, the put happens only if all of them hold. Otherwise nothing is written and the error matches
	// [ErrConflict]. An empty key is [ErrInvalidKey].
	Put(ctx context.Context, key string, value []byte, conditions ...Condition) (Revision, error)

	// Delete removes key and returns the new revision. Deleting a key that does not exist succeeds and makes no revision:
	// Delete then returns the store's current one.
	Delete(ctx context.Context, key string, conditions ...Condition) (Revision, error)
}

// ReadWriter is a store that can be read and written, as those of package kv/etcd and package kv/memory.
type ReadWriter interface {
	Store
	Writer
}

// Committer is a store that can change several keys in one revision. Find out by type assertion.
type Committer interface {
	// Commit does all of ops in one new revision. If a condition does not hold, Commit does none of them, and the error
	// matches [ErrConflict]. Conditions are about the store before the commit. If ops change nothing (no ops, or deletions
	// of keys that do not exist), there is no new revision, and Commit returns the store's current one. A key that two ops
	// name is [ErrInvalidKey]. An op of an unknown Type is [ErrUnsupported]. [ValidateOps] finds both.
	Commit(ctx context.Context, ops ...Op) (Revision, error)
}

// Condition must hold for a write to its key to happen. The zero Condition always holds.
type Condition struct {
	set bool
	mod Revision
}

// IfRevision holds while the key's ModRevision is rev: no other write has changed the key since the caller read an entry
// with that ModRevision. Do not pass the Revision of a [Snapshot], which is the store's. IfRevision(0) is [IfAbsent].
func IfRevision(rev Revision) Condition { return Condition{set: true, mod: rev} }

// IfAbsent holds while the key does not exist.
func IfAbsent() Condition { return IfRevision(0) }

// ModRevision returns the ModRevision that the condition requires, zero for an absent key. ok is false for the zero
// Condition, which requires nothing. It is for authors of stores.
func (c Condition) ModRevision() (rev Revision, ok bool) { return c.mod, c.set }

// Holds reports whether c holds for a key whose ModRevision is mod, or zero if the key does not exist.
func (c Condition) Holds(mod Revision) bool { return !c.set || c.mod == mod }

// Op is one change in a [Committer.Commit]: a put or a deletion of one key. Make one with [PutOp] or
// [DeleteOp].
type Op struct {
	Type       EventType // EventPut or EventDelete
	Key        string
	Value      []byte      // of a put; copied before Commit returns
	Conditions []Condition // all must hold
}

// ValidateOps returns nil, or the first mistake in ops that does not depend on the store. The error matches [ErrInvalidKey]
// for an empty key and for a key that an earlier op has named. It matches [ErrUnsupported] for an op that is neither a put
// nor a deletion.
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
