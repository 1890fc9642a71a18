package mvcc_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// Forgotten history is not only out of reach. The store also keeps none of it in memory.
func TestForgottenChunksAreFreed(t *testing.T) {
	leaktest.Check(t)
	s := mvcc.New(false)
	for i := range 4 * 256 { // these fill four chunks
		s.Put(fmt.Sprintf("/%d", i%2), "v", 0, s.Revision+1)
	}
	chunks := s.Chunks()
	if n := chunks(); n != 4 {
		t.Errorf("%d records are in %d chunks, want 4", 4*256, n)
	}
	if err := s.Compact(901); err != nil || s.Drop(901, math.MaxInt) {
		t.Fatalf("compaction failed: %v", err)
	}
	runtime.GC()
	if n := chunks(); n != 1 {
		t.Errorf("%d of 4 chunks are left after a compaction that leaves one", n)
	}
	runtime.KeepAlive(s)
}

// state is what a store held at one revision.
type state map[string]*mvcc.Record

func (m state) in(r mvcc.Range) (records []*mvcc.Record) {
	for _, key := range slices.Sorted(func(yield func(string) bool) {
		for key := range m {
			if r.Contains(key) && !yield(key) {
				return
			}
		}
	}) {
		records = append(records, m[key])
	}
	return records
}

// A store with a past answers at every revision that is not compacted what it answered when that was the newest one, also
// after compactions, and in a copy that has gone another way. Nothing is kept that no answer needs.
func TestAnOldRevisionIsReadUnchanged(t *testing.T) {
	leaktest.Check(t)
	keys := rapid.SampledFrom([]string{"a", "aa", "ab", "b", "c"})
	rapid.Check(t, func(t *rapid.T) {
		s := mvcc.New(true)
		was := map[int64]state{1: {}}
		type copied struct {
			store *mvcc.Store
			was   map[int64]state
		}
		var copies []copied
		check := func(t *rapid.T, s *mvcc.Store, was map[int64]state) {
			for revision := max(s.Compacted, 1); revision <= s.Revision; revision++ {
				for _, r := range []mvcc.Range{mvcc.Prefix(""), mvcc.Prefix("a"), mvcc.Interval("aa", "c"), mvcc.From("ab"), mvcc.Key("a"), mvcc.Key("c")} {
					var got []*mvcc.Record
					s.EachAt(r, revision, func(rec *mvcc.Record) bool {
						got = append(got, rec)
						return true
					})
					if want := was[revision].in(r); !slices.Equal(got, want) {
						t.Fatalf("%v at revision %d of %d, compacted at %d: %d records, want %d", r, revision, s.Revision, s.Compacted, len(got), len(want))
					}
				}
			}
		}
		change := func(t *rapid.T, s *mvcc.Store, was map[int64]state) {
			next := s.Revision + 1
			now := make(state)
			for key, rec := range was[s.Revision] {
				now[key] = rec
			}
			for range rapid.IntRange(1, 3).Draw(t, "how many") {
				key := keys.Draw(t, "key")
				if rapid.Bool().Draw(t, "put") {
					now[key] = s.Put(key, "v", 0, next)
				} else if s.Delete(key, next) != nil {
					delete(now, key)
				}
			}
			if s.Revision == next {
				was[next] = now
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				check(t, s, was)
				for _, c := range copies {
					check(t, c.store, c.was)
				}
			},
			"change": func(t *rapid.T) { change(t, s, was) },
			"compact": func(t *rapid.T) {
				if s.Compact(rapid.Int64Range(0, s.Revision).Draw(t, "revision")) == nil {
					s.Drop(rapid.Int64Range(0, max(s.Compacted, 0)).Draw(t, "dropped before"), rapid.IntRange(0, 10).Draw(t, "at once"))
				}
			},
			"copy": func(t *rapid.T) {
				c := copied{s.Copy(), make(map[int64]state)}
				for revision, what := range was {
					c.was[revision] = what
				}
				c.store.Index()
				copies = append(copies, c)
			},
			"change a copy": func(t *rapid.T) {
				if len(copies) == 0 {
					t.Skip("there is none")
				}
				c := rapid.SampledFrom(copies).Draw(t, "copy")
				change(t, c.store, c.was)
			},
		})
		if s.Compact(s.Revision) == nil || s.Compacted == s.Revision {
			s.Drop(s.Revision, math.MaxInt)
			next := s.Revision + 1
			s.Put("z", "", 0, next)
			s.Compact(next)
			s.Drop(next, math.MaxInt)
			if records, byKey := s.Kept(); records != 1 || byKey != 0 {
				t.Fatalf("%d records are kept, %d by key, after a compaction that leaves one", records, byKey)
			}
		}
	})
}
