package program

import "github.com/watchkv/watchkv/kv"

// Revision names a revision by what happened at it. Its number is known when its step runs.
type Revision struct {
	base base
	key  string
	plus kv.Revision
}

type base uint8

const (
	exactly base = iota
	start
	now
	lastOf
)

// Exactly is the revision with this number.
func Exactly(number kv.Revision) Revision { return Revision{base: exactly, plus: number} }

// Start is the revision at which the program began, plus a number, which may be negative. The history of a store begins there: everything
// earlier is compacted, see [Begin].
func Start(plus kv.Revision) Revision { return Revision{base: start, plus: plus} }

// Now is the current revision of the store, plus a number.
func Now(plus kv.Revision) Revision { return Revision{base: now, plus: plus} }

// LastOf is the revision of the last put or deletion of key, plus a number. If the program has not changed key, it counts from zero.
func LastOf(key string, plus kv.Revision) Revision {
	return Revision{base: lastOf, key: key, plus: plus}
}

// of returns the number of a revision.
func (r *run) of(revision Revision) kv.Revision {
	switch revision.base {
	case start:
		return r.start + revision.plus
	case now:
		return r.now + revision.plus
	case lastOf:
		return r.last[revision.key] + revision.plus
	}
	return revision.plus
}
