package program

import "github.com/watchkv/watchkv/kv"

// Revision is a revision by what happened at it. What it stands for is found out when its step runs.
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

// Start is so many revisions after the one at which the program began, before it if plus is negative. The history of
// a store begins there: all that was earlier is compacted, see [Begin].
func Start(plus kv.Revision) Revision { return Revision{base: start, plus: plus} }

// Now is so many revisions after the store's present one.
func Now(plus kv.Revision) Revision { return Revision{base: now, plus: plus} }

// LastOf is so many revisions after the last change of key, be it a put or a deletion. Where the program has not changed
// key it counts from zero, the revision of what does not exist.
func LastOf(key string, plus kv.Revision) Revision {
	return Revision{base: lastOf, key: key, plus: plus}
}

// of returns the number that revision stands for.
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
