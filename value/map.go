package value

import (
	"errors"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/contents"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// Map is the typed, current contents of a range of keys: a [Value] whose value is a [View] of the range. It has all methods of a Value, its
// options, its Status, and its guarantees with "the range" for "the key". All its watchers share one watch of the store and one copy of the
// data.
//
// In addition to V1 to V16, the following holds:
//
//   - M1, complete at once: the first View is the whole range as of a linearizable read begun after the call. An empty range is an empty
//     View, at once. So no Get returns [ErrDeleted], and a Map takes no [WithDefault].
//   - M2, one revision: a View is exactly what the range held at its Revision. It never shows half of a commit.
//   - M3, changes add up: the View that the watcher returned before, with [View.Changes] made, is this View. Each key is in Changes once.
//   - M4, removals are reported, also of keys that were deleted during an outage or whose deletion was compacted away. They come first.
//   - M5, a bad value harms its key alone: the key's [Item] has the [*DecodeError] and the last good value, and all other keys are as they are.
//     Get returns no DecodeError. [Status].BadValue is that of the newest bad value in the range.
//   - M6, unchanged is no change: after the range was read again, Changes has only what differs. The Item of a key that did not change has
//     the same decoded value: it was not decoded again. A watcher of every update decodes what it reads of the store's history
//     itself.
//   - M7, Views are values: immutable, and shared at no cost.
//   - M8, newest or every revision: by default the changes that a slow reader has missed are merged. With [EveryUpdate] each revision that
//     changed the range is one View, once and in order. Where the store no longer has the history, Get returns a [*GapError] once, and the next
//     View's Changes are those since the View that the watcher returned last.
//
// A value that is larger than the store's client accepts makes the whole range unreadable: Get then returns an error that matches
// [kv.ErrTooLarge], once for each attempt.
type Map[T any] = Value[View[T]]

// NewMap returns the Map of the keys of a range, decoded by decode as by [New]. If an argument or an option is wrong, every Get fails and
// reports that.
func NewMap[T any](store kv.Store, r kv.Range, decode func([]byte) (T, error), opts ...Option) *Map[T] {
	if decode == nil {
		return newMap[T](store, r, nil, opts)
	}
	return newMap(store, r, func(e kv.Entry) (T, error) { return decode(e.Value) }, opts)
}

// NewEntryMap is [NewMap] with a decoder that sees the whole entry: the key, and the revisions. The decoder may keep and change the
// entry's bytes.
func NewEntryMap[T any](store kv.Store, r kv.Range, decode func(kv.Entry) (T, error), opts ...Option) *Map[T] {
	return newMap(store, r, decode, opts)
}

func newMap[T any](store kv.Store, r kv.Range, decode func(kv.Entry) (T, error), opts []Option) *Map[T] {
	c := newConfig(opts)
	var wrong error
	switch {
	case decode == nil:
		wrong = errors.New("nil decoder")
	case c.hasFallback:
		wrong = errors.New("WithDefault: the value of an empty range is an empty View")
	}
	c.hasFallback = true
	subject := &upstream.Subject{
		Range: r,
		Decode: func(e kv.Entry, was *contents.Item) contents.Decoded {
			return decodeItem(decode, e, was, c.lastKnown != nil)
		},
	}
	face := &rangeFace[View[T]]{
		show: func(c *contents.Contents, at kv.Revision) (View[T], error) {
			return View[T]{now: c, at: at}, nil
		},
		moved: func(v View[T], to kv.Revision) View[T] {
			v.at = to
			return v
		},
		compare: func(v, before View[T], sameHistory bool) (compared View[T], instead *View[T]) {
			compared = v
			compared.now = v.keepGood(before, sameHistory)
			if compared.now != v.now {
				instead = new(compared)
			}
			compared.before = before.now
			return compared, instead
		},
		saves: keptEntries[T],
	}
	return newValue("NewMap", store, subject, face, c, wrong)
}

// decodeItem decodes the value of e. If it is bad, the good value before it is kept, but not that of a key that was deleted since.
func decodeItem[T any](decode func(kv.Entry) (T, error), e kv.Entry, was *contents.Item, keeps bool) contents.Decoded {
	var entry *kv.Entry
	if keeps {
		entry = new(e.Clone()) // first: the decoder may do with the bytes what it likes
	}
	v, err := safely(func() (T, error) { return decode(e) }, DecodeError{Key: e.Key, Range: kv.Key(e.Key), Revision: e.ModRevision})
	switch {
	case err == nil && entry == nil:
		return &decoded[T]{value: v}
	case err == nil:
		return &saved[T]{decoded: decoded[T]{value: v}, entry: entry}
	case was != nil && mayPrecede(was, e.CreateRevision, e.ModRevision):
		return undecoded[T](err, was, entry)
	}
	return &bad[T]{saved: saved[T]{entry: entry}, err: err, newest: entry}
}

// mayPrecede reports whether was has a good value that can have come before the put at modified of a key that was created at a revision. Otherwise
// there is none, the key was deleted since, or the value is of a history that was undone.
func mayPrecede(was *contents.Item, created, modified kv.Revision) bool {
	good := was.GoodRevision()
	return 0 < good && good <= modified && was.CreateRevision == created
}

// keepGood returns what v shows, with the newer good values that before shows of keys that are bad now. v may have been made from a read
// that never saw those, while before was made from the store's history. Where history was replaced, only the very same entry has the good
// value that it had.
func (v View[T]) keepGood(before View[T], sameHistory bool) *contents.Contents {
	if v.now == before.now || v.now.Bad() == nil {
		return v.now
	}
	edit := v.now.Edit()
	for _, c := range v.now.Changes(before.now) {
		switch {
		case c.Old == nil || c.New == nil || c.New.Bad() == nil || c.Old.GoodRevision() <= c.New.GoodRevision():
		case contents.Same(c.Old, c.New), sameHistory && mayPrecede(c.Old, c.New.CreateRevision, c.New.ModRevision):
			i := *c.New
			is := c.New.Decoded.(*bad[T])
			i.Decoded = undecoded[T](is.err, c.Old, is.newest)
			edit.Put(&i)
		}
	}
	return edit.Contents()
}

// keptEntries returns the entries of the newest good values. Of a key that has none, or whose good value has expired, it is the newest entry,
// so that no key is missing.
func keptEntries[T any](c *contents.Contents, expired map[string]bool) []kv.Entry {
	var all []kv.Entry
	for i := range c.All(contents.Part{}) {
		e := keptOf[T](i).entry
		if is, ok := i.Decoded.(*bad[T]); ok && expired[i.Key] {
			e = is.newest
		}
		if e != nil {
			all = append(all, *e)
		}
	}
	return all
}
