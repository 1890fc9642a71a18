package mutants

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/watchkv/watchkv/conformance/internal/values"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

type view = value.View[*string]

// mapMutants are wrong Maps and bundles on a sound store, and stores that break what holds of the Maps on top of them.
var mapMutants = []mutation{
	{guarantee: "M1", name: "waits-for-the-first-key", maps: readingViews(func(r wrongMapReader, ctx context.Context, opts []value.GetOption[view]) (view, error) {
		return r.MapReader.Get(ctx, append(opts, value.Where(func(v view) bool { return v.Len() > 0 }))...)
	})},
	{guarantee: "M1", name: "answers-a-first-Get-from-what-it-knows", maps: readingViews(func(r wrongMapReader, ctx context.Context, opts []value.GetOption[view]) (view, error) {
		if l, ok := r.of.Latest(); ok && r.Revision() == 0 {
			r.TryGet()
			return l.Value, nil
		}
		return r.MapReader.Get(ctx, opts...)
	})},
	{guarantee: "M1", name: "reads-the-first-hundred-keys", maps: overStore(func(s kv.Snapshot) kv.Snapshot {
		s.Entries = s.Entries[:min(len(s.Entries), 100)]
		return s
	}, nil)},
	{guarantee: "M1", name: "reports-an-empty-range-as-a-deletion", maps: readingViews(func(r wrongMapReader, ctx context.Context, opts []value.GetOption[view]) (view, error) {
		v, err := r.MapReader.Get(ctx, opts...)
		if err == nil && v.Len() == 0 && v.Revision() > 0 {
			for range v.Changes() { // so that it was not empty before
				return v, value.ErrDeleted
			}
		}
		return v, err
	})},
	{guarantee: "M2", name: "shows-half-of-a-commit", maps: values.Maps{View: func(v view) values.View { return halfOf(v) }}},
	{guarantee: "M2", name: "takes-the-first-event-of-each-revision", maps: overStore(nil, func(events []kv.Event) []kv.Event {
		return slices.CompactFunc(events, func(a, b kv.Event) bool { return a.ModRevision == b.ModRevision })
	})},
	{guarantee: "M2", name: "reads-two-pages-at-two-revisions", maps: pagesOfTwoRevisions()},
	{guarantee: "M2", name: "lets-the-neighbours-in", maps: values.Maps{Map: func(s kv.Store, r kv.Range, decode values.Decoder, opts ...value.Option) values.LiveMap {
		from, _, _ := r.Bounds()
		return values.SoundMap(s, kv.Prefix(strings.TrimSuffix(from, "/")), decode, opts...)
	}}},
	{guarantee: "M2", name: "leaves-out-the-prefix-itself", maps: overStore(func(s kv.Snapshot) kv.Snapshot {
		s.Entries = slices.DeleteFunc(s.Entries, func(e kv.Entry) bool { return strings.HasSuffix(e.Key, "/") })
		return s
	}, nil)},
	{guarantee: "M2", name: "has-all-keys-in-each-part", maps: values.Maps{View: func(v view) values.View { return undivided{values.SoundView{View: v}} }}},
	{guarantee: "M2", name: "makes-a-bundle-of-two-revisions", maps: values.Maps{Bundle: bundleOfTwoRevisions}},
	{guarantee: "M3", name: "has-the-changes-of-the-last-revision-only", maps: readingViews(func(r wrongMapReader, ctx context.Context, opts []value.GetOption[view]) (view, error) {
		v, err := r.MapReader.Get(ctx, opts...)
		for err == nil && !r.every {
			next, none := r.MapReader.TryGet(opts...)
			if none != nil {
				break
			}
			v = next
		}
		return v, err
	}, value.EveryUpdate())},
	{guarantee: "M3", name: "counts-what-a-filter-has-skipped-as-returned", maps: readingViews(func(r wrongMapReader, ctx context.Context, opts []value.GetOption[view]) (view, error) {
		if len(opts) > 0 {
			r.MapReader.Get(ctx)
		}
		return r.MapReader.Get(ctx, opts...)
	})},
	{guarantee: "M3", name: "leaves-out-a-change", maps: changing(func(all []values.Change) []values.Change { return all[:max(0, len(all)-1)] })},
	{guarantee: "M3", name: "has-a-change-twice", maps: changing(func(all []values.Change) []values.Change { return append(all, all[max(0, len(all)-1):]...) })},
	{guarantee: "M3", name: "forgets-the-value-before", maps: changing(func(all []values.Change) []values.Change {
		for i := range all {
			if all[i].New != nil {
				all[i].Old = nil
			}
		}
		return all
	})},
	{guarantee: "M4", name: "forgets-removals", maps: changing(func(all []values.Change) []values.Change {
		return slices.DeleteFunc(all, func(c values.Change) bool { return c.New == nil })
	})},
	{guarantee: "M4", name: "has-the-removals-last", maps: changing(func(all []values.Change) []values.Change {
		n := slices.IndexFunc(all, func(c values.Change) bool { return c.New != nil })
		return append(slices.Clone(all[max(0, n):]), all[:max(0, n)]...)
	})},
	{guarantee: "M4", name: "keeps-keys-that-a-read-after-an-outage-does-not-find", maps: keepingKeys()},
	{guarantee: "M4", name: "takes-a-key-that-was-made-again-for-the-old-one", maps: changing(func(all []values.Change) []values.Change {
		return slices.DeleteFunc(all, func(c values.Change) bool { return c.Old != nil && c.New != nil && *c.Old.Value == *c.New.Value })
	})},
	{guarantee: "M5", name: "fails-as-a-whole-for-one-bad-value", maps: readingViews(func(r wrongMapReader, ctx context.Context, opts []value.GetOption[view]) (view, error) {
		v, err := r.MapReader.Get(ctx, opts...)
		for _, item := range v.All() {
			if item.Err != nil {
				err = item.Err
			}
		}
		return v, err
	})},
	{guarantee: "M5", name: "gives-each-key-the-error-of-one", maps: items(func(v view, _ string, item *values.Item) bool {
		for _, other := range v.All() {
			if other.Err != nil {
				item.Err = other.Err
			}
		}
		return true
	})},
	{guarantee: "M5", name: "drops-a-key-whose-value-is-bad", maps: items(func(_ view, _ string, item *values.Item) bool { return item.Err == nil })},
	{guarantee: "M5", name: "forgets-the-last-good-value", maps: items(func(_ view, _ string, item *values.Item) bool {
		if item.Err != nil {
			item.Value, item.ValueRevision = nil, 0
		}
		return true
	})},
	{guarantee: "M5", name: "keeps-the-good-value-of-a-key-that-was-deleted", maps: keepingGoodValues()},
	{guarantee: "M6", name: "has-every-key-in-the-changes-after-a-read", maps: values.Maps{View: func(v view) values.View { return allChanged{values.SoundView{View: v}} }}},
	{guarantee: "M6", name: "decodes-every-View-again", maps: items(func(_ view, _ string, item *values.Item) bool {
		if item.Value != nil {
			item.Value = new(*item.Value)
		}
		return true
	})},
	{guarantee: "M6", name: "takes-what-is-read-for-new", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		for i := range s.Entries {
			s.Entries[i].ModRevision = s.Revision
		}
		return s, err
	}}},
	{guarantee: "M7", name: "shows-the-newest-in-every-View", maps: liveViews()},
	{guarantee: "M8", name: "skips-to-the-newest", maps: watchingViews(func(m values.LiveMap, _ []value.WatchOption) values.MapReader { return m.Watch() })},
	{guarantee: "M8", name: "queues-every-View-for-a-slow-reader", maps: watchingViews(func(m values.LiveMap, opts []value.WatchOption) values.MapReader {
		return m.Watch(append(opts, value.EveryUpdate())...)
	})},
	{guarantee: "M8", name: "passes-over-a-gap", maps: readingViews(func(r wrongMapReader, ctx context.Context, opts []value.GetOption[view]) (view, error) {
		for {
			v, err := r.MapReader.Get(ctx, opts...)
			if !errors.As(err, new(*value.GapError)) {
				return v, err
			}
		}
	})},
	{guarantee: "M8", name: "reads-a-history-that-has-lost-a-key", maps: losingAKeyOfThePast()},
	{guarantee: "V5", name: "shows-the-View-of-an-older-read-after-a-lost-watch", maps: olderReads()},
	{guarantee: "V12", name: "has-a-watch-for-each-watcher-of-a-Map", maps: values.Maps{Map: func(s kv.Store, r kv.Range, decode values.Decoder, opts ...value.Option) values.LiveMap {
		return wrongMap{values.SoundMap(s, r, decode, opts...), func(_ values.LiveMap, watchOpts []value.WatchOption) values.MapReader {
			return values.SoundMap(s, r, decode, opts...).Watch(watchOpts...)
		}}
	}}},
	{guarantee: "V6", name: "is-deleted-with-the-first-key-of-a-bundle", maps: values.Maps{Bundle: func(s kv.Store, r kv.Range, decode func([]kv.Entry) (string, error), opts ...value.Option) values.Live {
		most := 0
		return values.SoundBundle(s, r, func(entries []kv.Entry) (string, error) {
			if most = max(most, len(entries)); len(entries) < most {
				return "", value.ErrDeleted
			}
			return decode(entries)
		}, opts...)
	}}},
	{guarantee: "V7", name: "makes-a-bundle-of-the-good-keys", maps: values.Maps{Bundle: func(s kv.Store, r kv.Range, decode func([]kv.Entry) (string, error), opts ...value.Option) values.Live {
		return values.SoundBundle(s, r, func(entries []kv.Entry) (string, error) {
			return decode(slices.DeleteFunc(entries, func(e kv.Entry) bool { return strings.HasPrefix(string(e.Value), "bad") }))
		}, opts...)
	}}},
}

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

// misread is a store as a wrong Map understands it.
type misread struct {
	kv.Store
	get   func(r kv.Range, s kv.Snapshot) kv.Snapshot // nil for as it is
	watch func(after kv.Revision) (events func([]kv.Event) []kv.Event)
}

func (s misread) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.Store.Get(ctx, r)
	if err == nil && s.get != nil {
		snapshot = s.get(r, snapshot)
	}
	return snapshot, err
}

func (s misread) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	if s.watch == nil {
		return s.Store.Watch(ctx, r, after)
	}
	events := s.watch(after)
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range s.Store.Watch(ctx, r, after) {
			if len(b.Events) > 0 {
				b.Events = events(slices.Clone(b.Events))
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// mapsOver makes Maps that misread their store, each in a way of its own.
func mapsOver(misreads func(kv.Store) misread) values.Maps {
	return values.Maps{Map: func(s kv.Store, r kv.Range, decode values.Decoder, opts ...value.Option) values.LiveMap {
		return values.SoundMap(misreads(s), r, decode, opts...)
	}}
}

func overStore(get func(kv.Snapshot) kv.Snapshot, events func([]kv.Event) []kv.Event) values.Maps {
	return mapsOver(func(s kv.Store) misread {
		wrong := misread{Store: s}
		if get != nil {
			wrong.get = func(_ kv.Range, s kv.Snapshot) kv.Snapshot { return get(s) }
		}
		if events != nil {
			wrong.watch = func(kv.Revision) func([]kv.Event) []kv.Event { return events }
		}
		return wrong
	})
}

// pagesOfTwoRevisions reads the first half of a large range as it was at the read before, also that of another Map.
func pagesOfTwoRevisions() values.Maps {
	var pages sync.Map // by range
	return mapsOver(func(s kv.Store) misread {
		return misread{Store: s, get: func(r kv.Range, s kv.Snapshot) kv.Snapshot {
			half := len(s.Entries) / 2
			if half < 100 {
				return s
			}
			before, ok := pages.Swap(r, slices.Clone(s.Entries[:half]))
			if ok {
				s.Entries = append(slices.Clone(before.([]kv.Entry)), s.Entries[half:]...)
			}
			return s
		}}
	})
}

// keepingKeys adds to each read the keys that the first one has found.
func keepingKeys() values.Maps {
	return mapsOver(func(s kv.Store) misread {
		var once sync.Once
		var first []kv.Entry
		return misread{Store: s, get: func(_ kv.Range, s kv.Snapshot) kv.Snapshot {
			once.Do(func() { first = slices.Clone(s.Entries) })
			for _, e := range first {
				i, found := slices.BinarySearchFunc(s.Entries, e.Key, func(e kv.Entry, key string) int { return strings.Compare(e.Key, key) })
				if !found {
					s.Entries = slices.Insert(s.Entries, i, e)
				}
			}
			return s
		}}
	})
}

// losingAKeyOfThePast reads a history, as a second watch, without one of the keys.
func losingAKeyOfThePast() values.Maps {
	return mapsOver(func(s kv.Store) misread {
		var watches atomic.Int64
		return misread{Store: s, watch: func(kv.Revision) func([]kv.Event) []kv.Event {
			if watches.Add(1) == 1 {
				return func(events []kv.Event) []kv.Event { return events }
			}
			return func(events []kv.Event) []kv.Event {
				return slices.DeleteFunc(events, func(e kv.Event) bool { return strings.HasSuffix(e.Key, "3") })
			}
		}}
	})
}

// olderReads answers every third read as the first.
func olderReads() values.Maps {
	return mapsOver(func(s kv.Store) misread {
		var mu sync.Mutex
		var first *kv.Snapshot
		reads := 0
		return misread{Store: s, get: func(_ kv.Range, s kv.Snapshot) kv.Snapshot {
			mu.Lock()
			defer mu.Unlock()
			if reads++; first == nil {
				first = &s
			}
			if reads%3 == 0 {
				return *first
			}
			return s
		}}
	})
}
