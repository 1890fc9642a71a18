package mutants

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/watchkv/watchkv/kv"
)

// clientReadMutants get wrong what lies between a store and its data: replicas, caches, shards, pages, and connections that calls share. They
// break what a Get, a Stat or a summary promises.
var clientReadMutants = []mutation{
	{guarantee: "S1", name: "scans-all-keys-on-a-replica", broken: breakage{get: everySecondFromAReplica(func(r kv.Range) bool { return r == kv.All() })}},
	{guarantee: "S1", name: "reads-intervals-on-a-replica", broken: breakage{get: everySecondFromAReplica(interval)}},
	{guarantee: "S1", name: "does-not-hear-of-commits-of-others", broken: remembering(breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			defer func() { m.shared.Store("heard of", m.now()) }()
			return m.Store.Put(ctx, key, value, conditions...)
		},
		delete: func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
			defer func() { m.shared.Store("heard of", m.now()) }()
			return m.Store.Delete(ctx, key, conditions...)
		},
		commit: func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
			defer func() { m.known.Store("heard of", m.now()) }()
			return m.Store.Commit(ctx, ops...)
		},
	}, func(m *mutant) any {
		others, _ := m.shared.Load("heard of")
		own, _ := m.known.Load("heard of")
		_, cut := m.known.Load("cut")
		return [3]any{others, own, cut}
	})},
	{guarantee: "S1", name: "gets-what-its-watch-of-the-range-has-yielded", broken: breakage{
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			if f, ok := m.known.Load(feedOf{r}); ok && ctx.Err() == nil {
				return f.(*feed).contents(), nil
			}
			return m.Store.Get(ctx, r)
		},
		watch: feeding,
	}},
	{guarantee: "S1", name: "keeps-the-transaction-of-a-conflict-until-its-next-write", broken: breakage{
		put: func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
			before, _ := m.memory.Get(context.Background(), kv.All())
			rev, err := m.Store.Put(ctx, key, value, conditions...)
			if errors.Is(err, kv.ErrConflict) {
				m.known.Store("transaction", before)
			} else {
				m.known.Delete("transaction")
			}
			return rev, err
		},
		get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			began, ok := m.known.Load("transaction")
			if !ok || ctx.Err() != nil || r.Validate() != nil {
				return m.Store.Get(ctx, r)
			}
			s := clone(began.(kv.Snapshot))
			s.Entries = slices.DeleteFunc(s.Entries, func(e kv.Entry) bool { return !r.Contains(e.Key) })
			return s, nil
		},
	}},
	{guarantee: "Stater", name: "stats-from-memory-until-it-writes-itself", broken: countingWrites(breakage{
		stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			return remembered(m, ctx, [2]any{r, m.writes()}, func() (kv.Snapshot, error) { return m.Store.Stat(ctx, r) })
		},
	})},
	{guarantee: "Stater", name: "stats-from-memory-while-cut-off", broken: breakage{
		stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
			return rememberedWhileCut(m, ctx, r, func() (kv.Snapshot, error) { return m.Store.Stat(ctx, r) })
		},
	}},
	{guarantee: "Summarizer", name: "summarizes-from-memory-until-it-writes-itself", broken: countingWrites(breakage{
		summarize: func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
			return remembered(m, ctx, [4]any{r, since, limit, m.writes()}, func() (kv.Summary, error) { return m.Store.Summarize(ctx, r, since, limit) })
		},
	})},
	{guarantee: "Summarizer", name: "summarizes-from-memory-while-cut-off", broken: breakage{
		summarize: func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
			return rememberedWhileCut(m, ctx, [3]any{r, since, limit}, func() (kv.Summary, error) { return m.Store.Summarize(ctx, r, since, limit) })
		},
	}},
	{guarantee: "S2", name: "stops-at-1000-of-all-keys", broken: breakage{get: got(func(_ *mutant, r kv.Range, s *kv.Snapshot) {
		if allKeys(r) {
			s.Entries = s.Entries[:min(len(s.Entries), 1000)]
		}
	})}},
	{guarantee: "S2", name: "stops-at-2000-keys-of-an-interval", broken: breakage{get: got(func(_ *mutant, r kv.Range, s *kv.Snapshot) {
		if interval(r) {
			s.Entries = s.Entries[:min(len(s.Entries), 2000)]
		}
	})}},
	{guarantee: "S2", name: "stops-at-a-megabyte", broken: breakage{get: got(func(_ *mutant, r kv.Range, s *kv.Snapshot) {
		size := 0
		for i, e := range s.Entries {
			if size += len(e.Value); size > 1<<20 && i > 0 {
				s.Entries = s.Entries[:i]
				return
			}
		}
	})}},
	{guarantee: "S2", name: "sorts-by-UTF-16", broken: breakage{get: got(func(_ *mutant, r kv.Range, s *kv.Snapshot) {
		slices.SortStableFunc(s.Entries, func(a, b kv.Entry) int { return compareUTF16(a.Key, b.Key) })
	})}},
	{guarantee: "S2", name: "sorts-by-the-first-64-bytes", broken: breakage{get: got(func(_ *mutant, r kv.Range, s *kv.Snapshot) {
		slices.SortStableFunc(s.Entries, func(a, b kv.Entry) int {
			if c := strings.Compare(a.Key[:min(64, len(a.Key))], b.Key[:min(64, len(b.Key))]); c != 0 {
				return c
			}
			return int(a.CreateRevision - b.CreateRevision)
		})
	})}},
	{guarantee: "S2", name: "selects-by-UTF-16", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if !interval(r) || r.Validate() != nil {
			return m.Store.Get(ctx, r)
		}
		in := within(r, compareUTF16)
		s, err := m.Store.Get(ctx, kv.All())
		s.Entries = slices.DeleteFunc(s.Entries, func(e kv.Entry) bool { return !in(e.Key) })
		return s, err
	}}},
	{guarantee: "S2", name: "gives-the-answer-of-a-cancelled-get-to-the-next", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if ctx.Err() != nil {
			return m.Store.Get(ctx, r)
		}
		if late, ok := m.known.LoadAndDelete("late"); ok {
			return m.memory.Get(context.Background(), late.(kv.Range))
		}
		s, err := m.Store.Get(ctx, r)
		m.untilAnswered()
		if ctx.Err() != nil {
			if r.Validate() == nil {
				m.known.Store("late", r)
			}
			return kv.Snapshot{}, fmt.Errorf("get %v: %w", r, ctx.Err())
		}
		return s, err
	}}},
	{guarantee: "S2", name: "swaps-the-answers-of-concurrent-gets", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if ctx.Err() != nil || r.Validate() != nil {
			return m.Store.Get(ctx, r)
		}
		asked := r
		own := make(chan kv.Range, 1)
		if other, ok := m.known.LoadAndDelete("waiting"); ok {
			m.known.LoadOrStore(other, r)
		} else {
			m.known.Store("waiting", own)
			m.untilAnswered()
			m.known.CompareAndDelete("waiting", own)
			if others, ok := m.known.LoadAndDelete(own); ok {
				asked = others.(kv.Range)
			}
		}
		return m.Store.Get(ctx, asked)
	}}},
	{guarantee: "S2", name: "returns-what-it-has-read-when-the-connection-is-lost", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Get(ctx, r)
		m.untilAnswered()
		if _, cut := m.known.Load("cut"); cut && err == nil {
			s.Entries = s.Entries[:len(s.Entries)/2]
		}
		return s, err
	}}},
	{guarantee: "S2", name: "reads-two-shards-at-two-revisions", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		a, err := m.Store.Get(ctx, r)
		if err != nil {
			return a, err
		}
		m.betweenStatements()
		b, err := m.Store.Get(ctx, r)
		even := func(e kv.Entry) bool {
			h := fnv.New32()
			h.Write([]byte(e.Key))
			return h.Sum32()%2 == 0
		}
		a.Entries = slices.DeleteFunc(a.Entries, even)
		b.Entries = slices.DeleteFunc(b.Entries, func(e kv.Entry) bool { return !even(e) })
		b.Entries = append(a.Entries, b.Entries...)
		slices.SortFunc(b.Entries, func(a, b kv.Entry) int { return strings.Compare(a.Key, b.Key) })
		return b, err
	}}},
	{guarantee: "Stater", name: "returns-the-same-entries-twice", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := m.Store.Stat(ctx, r)
		return sharedBy(m, [2]any{r, s.Revision}, s), err
	}}},
	{guarantee: "Summarizer", name: "returns-the-same-entries-twice", broken: breakage{summarize: func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
		s, err := m.Store.Summarize(ctx, r, since, limit)
		return sharedBy(m, [4]any{r, since, limit, s.Revision}, s), err
	}}},
	{guarantee: "S2", name: "cleans-the-path-of-a-prefix", broken: breakage{get: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		return m.Store.Get(ctx, cleaned(r))
	}}},
	{guarantee: "Stater", name: "cleans-the-path-of-a-prefix", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		return m.Store.Stat(ctx, cleaned(r))
	}}},
	{guarantee: "Stater", name: "ends-an-interval-after-its-end", broken: breakage{stat: func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if from, to, ok := r.Bounds(); ok && interval(r) && from < to {
			r = kv.Interval(from, to+"\x00")
		}
		return m.Store.Stat(ctx, r)
	}}},
	{guarantee: "Summarizer", name: "ends-an-interval-after-its-end", broken: breakage{summarize: func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
		if from, to, ok := r.Bounds(); ok && interval(r) && from < to {
			r = kv.Interval(from, to+"\x00")
		}
		return m.Store.Summarize(ctx, r, since, limit)
	}}},
	{guarantee: "Summarizer", name: "cleans-the-path-of-a-prefix", broken: breakage{summarize: func(m *mutant, ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
		return m.Store.Summarize(ctx, cleaned(r), since, limit)
	}}},
}

func interval(r kv.Range) bool { return strings.HasPrefix(r.String(), "[") }

func allKeys(r kv.Range) bool { return r == kv.All() }

// cleaned is r as a store understands it that takes keys for paths.
func cleaned(r kv.Range) kv.Range {
	if p, ok := r.Prefix(); ok && p != "/" {
		return kv.Prefix(strings.TrimSuffix(p, "/"))
	}
	return r
}

// compareUTF16 is the order of strings in JavaScript, Java and others.
func compareUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

func within(r kv.Range, compare func(a, b string) int) func(key string) bool {
	from, to, bounded := r.Bounds()
	return func(key string) bool { return compare(from, key) <= 0 && (!bounded || compare(key, to) < 0) }
}

// everySecondFromAReplica makes a Get which returns, for some ranges, every second time what it returned before.
func everySecondFromAReplica(of func(r kv.Range) bool) func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	return func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		if before, ok := m.known.LoadAndDelete(r); ok && ctx.Err() == nil {
			return clone(before.(kv.Snapshot)), nil
		}
		s, err := m.Store.Get(ctx, r)
		if err == nil && of(r) {
			m.known.Store(r, clone(s))
		}
		return s, err
	}
}

// sharedBy returns what it was first called with for a key.
func sharedBy[T any](m *mutant, key any, s T) T {
	first, _ := m.known.LoadOrStore(key, s)
	return first.(T)
}

// remembered returns what read has returned for a key before, or reads.
func remembered[T any](m *mutant, ctx context.Context, key any, read func() (T, error)) (T, error) {
	if before, ok := m.known.Load(key); ok && ctx.Err() == nil {
		return before.(T), nil
	}
	return readAnew(m, key, read)
}

// rememberedWhileCut does so only while the store is cut off.
func rememberedWhileCut[T any](m *mutant, ctx context.Context, key any, read func() (T, error)) (T, error) {
	if _, cut := m.known.Load("cut"); cut {
		return remembered(m, ctx, key, read)
	}
	return readAnew(m, key, read)
}

// readAnew reads, and remembers what it has read.
func readAnew[T any](m *mutant, key any, read func() (T, error)) (T, error) {
	now, err := read()
	if err == nil {
		m.known.Store(key, now)
	}
	return now, err
}

// remembering adds to b a Get that remembers, as long as valid returns the same.
func remembering(b breakage, valid func(m *mutant) any) breakage {
	b.get = func(m *mutant, ctx context.Context, r kv.Range) (kv.Snapshot, error) {
		s, err := remembered(m, ctx, [2]any{r, valid(m)}, func() (kv.Snapshot, error) { return m.Store.Get(ctx, r) })
		return clone(s), err
	}
	return b
}

// countingWrites adds to b what counts the writes of a store itself.
func countingWrites(b breakage) breakage {
	b.put = func(m *mutant, ctx context.Context, key string, value []byte, conditions []kv.Condition) (kv.Revision, error) {
		defer m.known.Store("writes", m.writes()+1)
		return m.Store.Put(ctx, key, value, conditions...)
	}
	b.delete = func(m *mutant, ctx context.Context, key string, conditions []kv.Condition) (kv.Revision, error) {
		defer m.known.Store("writes", m.writes()+1)
		return m.Store.Delete(ctx, key, conditions...)
	}
	b.commit = func(m *mutant, ctx context.Context, ops []kv.Op) (kv.Revision, error) {
		defer m.known.Store("writes", m.writes()+1)
		return m.Store.Commit(ctx, ops...)
	}
	return b
}

func (m *mutant) writes() int {
	n, _ := m.known.LoadOrStore("writes", 0)
	return n.(int)
}

// feedOf is the key under which a mutant remembers the feed of a range.
type feedOf struct{ r kv.Range }

// feed is what the running watches of a range have yielded.
type feed struct {
	mu       sync.Mutex
	revision kv.Revision
	live     map[string]kv.Entry
}

func (f *feed) contents() kv.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := kv.Snapshot{Revision: f.revision}
	for _, e := range f.live {
		s.Entries = append(s.Entries, e.Clone())
	}
	slices.SortFunc(s.Entries, func(a, b kv.Entry) int { return strings.Compare(a.Key, b.Key) })
	return s
}

func (f *feed) add(b kv.Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range b.Events {
		if e.ModRevision <= f.revision {
			continue
		}
		if delete(f.live, e.Key); e.Type == kv.EventPut {
			f.live[e.Key] = e.Entry.Clone()
		}
	}
	f.revision = max(f.revision, b.Revision)
}

// feeding is a watch that keeps a feed of its range.
func feeding(m *mutant, ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		now, err := m.memory.Get(ctx, r)
		if err != nil || after < 0 {
			m.Store.Watch(ctx, r, after)(yield)
			return
		}
		own := &feed{revision: now.Revision, live: make(map[string]kv.Entry)}
		for _, e := range now.Entries {
			own.live[e.Key] = e
		}
		f, _ := m.known.LoadOrStore(feedOf{r}, own)
		defer m.known.Delete(feedOf{r})
		for b, err := range m.Store.Watch(ctx, r, after) {
			f.(*feed).add(b)
			if !yield(b, err) {
				return
			}
		}
	}
}
