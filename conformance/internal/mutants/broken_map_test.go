package mutants

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/watchkv/watchkv/conformance/internal/values"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// wrongMap is a Map with watchers of another kind.
type wrongMap struct {
	values.LiveMap
	watch func(values.LiveMap, []value.WatchOption) values.MapReader
}

func (m wrongMap) Watch(opts ...value.WatchOption) values.MapReader { return m.watch(m.LiveMap, opts) }

func watchingViews(watch func(values.LiveMap, []value.WatchOption) values.MapReader) values.Maps {
	return values.Maps{Map: func(s kv.Store, r kv.Range, decode values.Decoder, opts ...value.Option) values.LiveMap {
		return wrongMap{values.SoundMap(s, r, decode, opts...), watch}
	}}
}

// wrongMapReader is a watcher of a Map with another Get.
type wrongMapReader struct {
	values.MapReader
	of    values.LiveMap
	every bool // it was asked for every update
	get   getView
}

type getView func(r wrongMapReader, ctx context.Context, opts []value.GetOption[view]) (view, error)

func (r wrongMapReader) Get(ctx context.Context, opts ...value.GetOption[view]) (view, error) {
	return r.get(r, ctx, opts)
}

func readingViews(get getView, more ...value.WatchOption) values.Maps {
	return watchingViews(func(m values.LiveMap, opts []value.WatchOption) values.MapReader {
		return wrongMapReader{m.Watch(append(opts, more...)...), m, len(opts) > 0, get}
	})
}

// changedView is a View with other Changes.
type changedView struct {
	values.SoundView
	changes []values.Change
}

func (v changedView) Changes() iter.Seq[values.Change] { return slices.Values(v.changes) }

func changing(f func([]values.Change) []values.Change) values.Maps {
	return values.Maps{View: func(v view) values.View {
		return changedView{values.SoundView{View: v}, f(slices.Collect(v.Changes()))}
	}}
}

// allChanged has in its Changes also what has not changed.
type allChanged struct{ values.SoundView }

func (v allChanged) Changes() iter.Seq[values.Change] {
	changed := slices.Collect(v.SoundView.Changes())
	for key, item := range v.All() {
		if !slices.ContainsFunc(changed, func(c values.Change) bool { return c.Key == key }) {
			changed = append(changed, values.Change{Key: key, Old: &item, New: &item})
		}
	}
	return slices.Values(changed)
}

// undivided is a View whose parts are the whole.
type undivided struct{ values.SoundView }

func (v undivided) In(kv.Range) values.View { return v }

// itemsView is a View with other items.
type itemsView struct {
	values.SoundView
	keys  []string
	items map[string]values.Item
}

func (v itemsView) Len() int { return len(v.keys) }

func (v itemsView) Get(key string) (item values.Item, ok bool) {
	item, ok = v.items[key]
	return item, ok
}

func (v itemsView) All() iter.Seq2[string, values.Item] {
	return func(yield func(string, values.Item) bool) {
		for _, key := range v.keys {
			if !yield(key, v.items[key]) {
				return
			}
		}
	}
}

func (v itemsView) Changes() iter.Seq[values.Change] {
	return func(yield func(values.Change) bool) {
		for c := range v.SoundView.Changes() {
			if item, ok := v.items[c.Key]; ok && c.New != nil {
				c.New = &item
			}
			if !yield(c) {
				return
			}
		}
	}
}

// items makes Views of what f does to each item, without those for which f returns false.
func items(f func(v view, key string, item *values.Item) bool) values.Maps {
	return values.Maps{View: func(v view) values.View { return itemsOf(v, f) }}
}

func itemsOf(v view, f func(v view, key string, item *values.Item) bool) values.View {
	made := itemsView{SoundView: values.SoundView{View: v}, items: make(map[string]values.Item)}
	for key, item := range v.All() {
		if f(v, key, &item) {
			made.keys = append(made.keys, key)
			made.items[key] = item
		}
	}
	return made
}

// halfOf shows the last of several keys that one revision has changed as it was before.
func halfOf(v view) values.View {
	var together []values.Change
	for c := range v.Changes() {
		if c.New != nil && c.New.ModRevision == v.Revision() {
			together = append(together, c)
		}
	}
	return itemsOf(v, func(_ view, key string, item *values.Item) bool {
		if n := len(together); n > 1 && together[n-1].Key == key && together[n-1].Old != nil {
			*item = *together[n-1].Old
		}
		return true
	})
}

// keepingGoodValues remembers the good values of all keys.
func keepingGoodValues() values.Maps {
	var good sync.Map
	return items(func(_ view, key string, item *values.Item) bool {
		if item.Err == nil {
			good.Store(key, *item)
		} else if was, ok := good.Load(key); ok && item.Value == nil && was.(values.Item).ModRevision < item.ModRevision {
			item.Value, item.ValueRevision = was.(values.Item).Value, was.(values.Item).ValueRevision
		}
		return true
	})
}

// liveView shows what the newest View shows.
type liveView struct {
	values.SoundView
	newest *atomic.Pointer[view]
}

func (v liveView) Len() int                            { return v.newest.Load().Len() }
func (v liveView) Get(key string) (values.Item, bool)  { return v.newest.Load().Get(key) }
func (v liveView) All() iter.Seq2[string, values.Item] { return v.newest.Load().All() }

func liveViews() values.Maps {
	newest := new(atomic.Pointer[view])
	return values.Maps{View: func(v view) values.View {
		newest.Store(&v)
		return liveView{values.SoundView{View: v}, newest}
	}}
}

// bundleOfTwoRevisions takes the first entry from the decoding before.
func bundleOfTwoRevisions(s kv.Store, r kv.Range, decode func([]kv.Entry) (string, error), opts ...value.Option) values.Live {
	var mu sync.Mutex
	var before kv.Entry
	return values.SoundBundle(s, r, func(entries []kv.Entry) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if before.Key == entries[0].Key {
			entries[0], before = before, entries[0]
		} else {
			before = entries[0]
		}
		return decode(entries)
	}, opts...)
}
