package kv

import (
	"fmt"
	"strconv"
	"strings"
)

// Range is a set of keys: one key, a prefix, an interval or all keys. Make one with [Key], [Prefix], [Interval] or [All].
// The zero Range is invalid. Ranges can be compared with == and can be map keys.
//
// Keys are ordered as strings of bytes.
type Range struct {
	kind     rangeKind
	from, to string // the key or prefix is in from; an interval is from <= key < to
}

type rangeKind uint8

const (
	noRange rangeKind = iota
	keyRange
	prefixRange
	intervalRange
	allRange
)

// Key is the range of exactly one key.
func Key(key string) Range { return Range{kind: keyRange, from: key} }

// Prefix is the range of all keys that begin with prefix, including the key that equals prefix. An empty prefix is every
// key.
func Prefix(prefix string) Range {
	if prefix == "" {
		return All()
	}
	return Range{kind: prefixRange, from: prefix}
}

// Interval is the range of all keys from <= key < to. An empty from is the beginning of all keys.
func Interval(from, to string) Range { return Range{kind: intervalRange, from: from, to: to} }

// All is the range of every key.
func All() Range { return Range{kind: allRange} }

// Validate returns nil, or an error. The error matches [ErrInvalidKey] for the range of an empty key, and [ErrInvalidRange]
// for the zero Range and for an interval that can hold no key. Every Store validates a range first.
func (r Range) Validate() error {
	switch r.kind {
	case keyRange:
		return ValidateKey(r.from)
	case intervalRange:
		if r.from >= r.to {
			return fmt.Errorf("%w: from %q is not before to %q", ErrInvalidRange, r.from, r.to)
		}
	case noRange:
		return fmt.Errorf("%w: the zero Range; use Key, Prefix, Interval or All", ErrInvalidRange)
	}
	return nil
}

// ValidateKey returns nil, or an error that matches [ErrInvalidKey] for the empty key.
func ValidateKey(key string) error {
	if key == "" {
		return fmt.Errorf("%w: the empty key", ErrInvalidKey)
	}
	return nil
}

// Contains reports whether key is in r. The empty key is in no range.
func (r Range) Contains(key string) bool {
	if key == "" {
		return false
	}
	switch r.kind {
	case keyRange:
		return key == r.from
	case prefixRange:
		return strings.HasPrefix(key, r.from)
	case intervalRange:
		return r.from <= key && key < r.to
	case allRange:
		return true
	}
	return false
}

// Key returns the one key of r, if r was made by [Key].
func (r Range) Key() (key string, ok bool) {
	if r.kind != keyRange {
		return "", false
	}
	return r.from, true
}

// Prefix returns the prefix of r, if r was made by [Prefix] with a prefix that is not empty. It is for stores that select by
// prefix. All stores can select by [Range.Bounds].
func (r Range) Prefix() (prefix string, ok bool) {
	if r.kind != prefixRange {
		return "", false
	}
	return r.from, true
}

// Bounds returns r as an interval: from <= key < to, or from <= key if bounded is false. All keys, and a prefix of 0xff
// bytes alone, are not bounded. For one key, to is the next possible key.
func (r Range) Bounds() (from, to string, bounded bool) {
	switch r.kind {
	case keyRange:
		return r.from, r.from + "\x00", true
	case prefixRange:
		to, bounded = prefixEnd(r.from)
		return r.from, to, bounded
	case intervalRange:
		return r.from, r.to, true
	}
	return "", "", false
}

// prefixEnd returns the first key after all keys that begin with prefix. It drops the trailing 0xff bytes and adds one to
// the last byte that is left.
func prefixEnd(prefix string) (end string, ok bool) {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1}), true
		}
	}
	return "", false
}

// String returns r as it appears in messages: "/a", "/a"*, ["/a", "/b") or all keys.
func (r Range) String() string {
	switch r.kind {
	case keyRange:
		return strconv.Quote(r.from)
	case prefixRange:
		return strconv.Quote(r.from) + "*"
	case intervalRange:
		return fmt.Sprintf("[%q, %q)", r.from, r.to)
	case allRange:
		return "all keys"
	}
	return "no range"
}
