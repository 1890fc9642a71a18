package mutants

import (
	"context"
	"errors"
	"slices"
	"strings"

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
