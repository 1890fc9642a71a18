package value

import (
	"iter"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/contents"
)

// View is what a range of keys held at one revision. It is immutable: what happens later does not change it. Views that follow one
// another share what did not change, so a View may be copied and kept at little cost. All methods may be called concurrently. The zero
// View is empty.
type View[T any] struct {
	now    *contents.Contents // nil in the zero View
	before *contents.Contents // what the watcher has returned before; nil for nothing
	at     kv.Revision
	part   contents.Part // what of it is shown
}

// Item is one key of a [View].
type Item[T any] struct {
	// Value is the decoded value. If the newest value does not decode, it is the last one that did, or the zero T if none is known.
	Value T
	// Err is the [*DecodeError] of the newest value. It is nil if that is good.
	Err error
	// ValueRevision is the revision of the put that made Value. It is less than ModRevision if Err is not nil, and zero without a Value.
	ValueRevision kv.Revision
	// CreateRevision, ModRevision and Version are those of the newest entry, as in [kv.Entry].
	CreateRevision kv.Revision
	ModRevision    kv.Revision
	Version        int64
}

// Revision is a revision at which the range held exactly what the View shows: that of the change that led to the View, or of the read
// that found it.
func (v View[T]) Revision() kv.Revision { return v.at }

// Len returns the number of keys.
func (v View[T]) Len() int {
	if v.now == nil {
		return 0
	}
	return v.now.Count(v.part)
}

// Get returns the item of a key, and whether the key exists.
func (v View[T]) Get(key string) (item Item[T], ok bool) {
	if v.now == nil || !v.part.Contains(key) {
		return item, false
	}
	i := v.now.Get(key)
	if i == nil {
		return item, false
	}
	return itemOf[T](i), true
}

// All yields the keys and their items, in order of the keys.
func (v View[T]) All() iter.Seq2[string, Item[T]] {
	return func(yield func(string, Item[T]) bool) {
		if v.now == nil {
			return
		}
		for i := range v.now.All(v.part) {
			if !yield(i.Key, itemOf[T](i)) {
				return
			}
		}
	}
}

// In returns the part of the View that is in r: nothing for a range that is not valid. It copies nothing. Its Changes are those in r.
func (v View[T]) In(r kv.Range) View[T] {
	v.part = v.part.And(contents.In(r))
	return v
}

// Change is what became of one key between two Views.
type Change[T any] struct {
	Key string
	Old *Item[T] // nil if the key did not exist
	New *Item[T] // nil if the key does not exist any more
}

// Changes yields what differs between the View that the watcher returned before and this one, each key once: first the keys that were
// removed, then those that were added or put, both in order. The View before with these changes made is this View. A key that was deleted
// and made again is one change. In the first View of a watcher, in that of [Value.Latest] and in that of [Value.Get], every key is added.
//
// Changes takes time for what has changed, not for what the range holds, unless a great part of it has changed.
func (v View[T]) Changes() iter.Seq[Change[T]] {
	return func(yield func(Change[T]) bool) {
		if v.before == nil {
			for key, item := range v.All() {
				if !yield(Change[T]{Key: key, New: &item}) {
					return
				}
			}
			return
		}
		if v.now == nil {
			return
		}
		for _, c := range v.now.Changes(v.before) {
			if v.part.Contains(c.Key()) && !yield(Change[T]{Key: c.Key(), Old: pointerTo[T](c.Old), New: pointerTo[T](c.New)}) {
				return
			}
		}
	}
}

func pointerTo[T any](i *contents.Item) *Item[T] {
	if i == nil {
		return nil
	}
	return new(itemOf[T](i))
}

func itemOf[T any](i *contents.Item) Item[T] {
	return Item[T]{
		Value: keptOf[T](i).value, Err: i.Bad(), ValueRevision: i.GoodRevision(),
		CreateRevision: i.CreateRevision, ModRevision: i.ModRevision, Version: i.Version,
	}
}

// What the item of a key keeps is one of three. Nearly all are good, and nothing is kept of them but the value.
type (
	// decoded is a good value.
	decoded[T any] struct{ value T }

	// saved is a good value of a Map that keeps what is last known.
	saved[T any] struct {
		decoded[T]
		entry *kv.Entry // with its bytes, also of a bad value if no good one is known; nil if the Map keeps nothing
	}

	// bad is a value that could not be decoded, with the newest good one before it.
	bad[T any] struct {
		saved[T]
		good   kv.Revision // of the good value; zero if none is known
		err    *DecodeError
		newest *kv.Entry // the bad entry, if the Map keeps entries
	}
)

func (*decoded[T]) Bad() error        { return nil }
func (*decoded[T]) Good() kv.Revision { return 0 }

func (b *bad[T]) Bad() error        { return b.err }
func (b *bad[T]) Good() kv.Revision { return b.good }

// keptOf is the newest good value of an item; the zero T if none is known.
func keptOf[T any](i *contents.Item) (s saved[T]) {
	switch d := i.Decoded.(type) {
	case *decoded[T]:
		s.decoded = *d
	case *saved[T]:
		s = *d
	case *bad[T]:
		s = d.saved
	}
	return s
}

// undecoded is a value that could not be decoded, whose key had the good value of the item was before. newest is its entry, if it is kept.
func undecoded[T any](err *DecodeError, was *contents.Item, newest *kv.Entry) *bad[T] {
	return &bad[T]{saved: keptOf[T](was), good: was.GoodRevision(), err: err, newest: newest}
}
