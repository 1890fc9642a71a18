package mvcc

import "strings"

// Range is a set of keys. Make one with [Key], [Prefix], [Interval] or [From]. Ranges can be compared with ==.
type Range struct {
	kind     rangeKind
	from, to string // a key or a prefix is in from
}

type rangeKind uint8

const (
	keyRange rangeKind = iota
	prefixRange
	intervalRange
	fromRange
)

// Key is the range of one key.
func Key(key string) Range { return Range{kind: keyRange, from: key} }

// Prefix is the range of the keys that begin with prefix. The prefix "" is every key.
func Prefix(prefix string) Range { return Range{kind: prefixRange, from: prefix} }

// Interval is the range from <= key < to. It may be empty.
func Interval(from, to string) Range { return Range{kind: intervalRange, from: from, to: to} }

// From is the range of the keys from <= key.
func From(from string) Range { return Range{kind: fromRange, from: from} }

// Contains reports whether key is in r.
func (r Range) Contains(key string) bool {
	switch r.kind {
	case keyRange:
		return key == r.from
	case prefixRange:
		return strings.HasPrefix(key, r.from)
	case intervalRange:
		return r.from <= key && key < r.to
	}
	return r.from <= key
}

// Key returns the one key of r, if r was made by [Key].
func (r Range) Key() (key string, ok bool) { return r.from, r.kind == keyRange }

// First returns the first key that may be in r.
func (r Range) First() string { return r.from }

// Size returns the number of bytes of the keys at the two ends of the range, by which a request names it. The end of a prefix
// is as long as the prefix without the 0xff bytes at its end.
func (r Range) Size() int {
	if r.kind == prefixRange {
		end := len(r.from)
		for end > 0 && r.from[end-1] == 0xff {
			end--
		}
		return len(r.from) + end
	}
	return len(r.from) + len(r.to)
}
