package mutants

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/watchkv/watchkv/conformance/internal/values"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

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
