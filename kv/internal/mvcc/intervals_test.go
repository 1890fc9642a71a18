package mvcc_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// watched is an index, and the ranges of the watches that must be in it.
type watched struct {
	index  *mvcc.Watched
	ranges map[int]mvcc.Range
	next   int
}

func newWatched() *watched {
	return &watched{index: mvcc.NewWatched(), ranges: make(map[int]mvcc.Range)}
}

func (w *watched) add(r mvcc.Range) {
	w.index.Add(w.next, r)
	w.ranges[w.next] = r
	w.next++
}

func (w *watched) remove(id int) {
	w.index.Remove(id)
	delete(w.ranges, id)
}

// ids returns the watches that must be in the index, in order.
func (w *watched) ids() []int {
	ids := make([]int, 0, len(w.ranges))
	for id := range w.ranges {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// expect checks that, for each key, the index finds exactly the watches whose ranges hold it, each once. It also checks that
// the index yields all watches once.
func (w *watched) expect(t rapid.TB, keys ...string) {
	t.Helper()
	if wrong := w.index.Wrong(); wrong != "" {
		t.Fatalf("the tree of %v: %s", w.ranges, wrong)
	}
	for _, key := range keys {
		want := make(map[int]int)
		for id, r := range w.ranges {
			if r.Contains(key) {
				want[id] = 1
			}
		}
		if got := w.index.Find(key); !maps.Equal(got, want) {
			t.Fatalf("watches found for %q, of %v, -want +got:\n%s", key, w.ranges, cmp.Diff(want, got))
		}
	}
	all := make(map[int]int)
	for id := range w.ranges {
		all[id] = 1
	}
	if got := w.index.All(); !maps.Equal(got, all) {
		t.Fatalf("all watches, of %v, -want +got:\n%s", w.ranges, cmp.Diff(all, got))
	}
}

// letters are the keys at the edges of all the intervals below, and between them.
var letters = func() (keys []string) {
	for c := 'a'; c <= 'm'; c++ {
		keys = append(keys, string(c), string(c)+"\x00")
	}
	return keys
}()

func anInterval(t *rapid.T) mvcc.Range {
	from := rapid.IntRange(0, len(letters)-2).Draw(t, "from")
	to := rapid.IntRange(from+1, len(letters)-1).Draw(t, "to")
	return mvcc.Interval(letters[from], letters[to])
}

// The shape of the tree is random, so a program that finds no fault may find one in another run.
func TestIntervalsAroundAKeyAreFound(t *testing.T) {
	leaktest.Check(t)
	rapid.Check(t, func(t *rapid.T) {
		w := newWatched()
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { w.expect(t, letters...) },
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, 5).Draw(t, "how many") {
					w.add(anInterval(t))
				}
			},
			"remove": func(t *rapid.T) {
				if len(w.ranges) == 0 {
					t.Skip("there is none")
				}
				w.remove(rapid.SampledFrom(w.ids()).Draw(t, "id"))
			},
		})
	})
}

func TestRangesOfAllKindsAroundAKeyAreFound(t *testing.T) {
	leaktest.Check(t)
	some := rapid.SampledFrom([]string{"a", "a\x00", "aa", "ab", "aba", "b", "ba", "\xff", "\xff\xff", "\xff\xffa"})
	rapid.Check(t, func(t *rapid.T) {
		w := newWatched()
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				w.expect(t, "\x00", "a", "a\x00", "aa", "ab", "aba", "abab", "b", "ba", "c", "\xff", "\xff\x00", "\xff\xff", "\xff\xffa", "\xff\xffz")
			},
			"key":    func(t *rapid.T) { w.add(mvcc.Key(some.Draw(t, "key"))) },
			"prefix": func(t *rapid.T) { w.add(mvcc.Prefix(some.Draw(t, "prefix"))) },
			"all":    func(t *rapid.T) { w.add(mvcc.Prefix("")) },
			"open":   func(t *rapid.T) { w.add(mvcc.From(some.Draw(t, "from"))) },
			"interval": func(t *rapid.T) { // it may be empty
				w.add(mvcc.Interval(some.Draw(t, "from"), some.Draw(t, "to")))
			},
			// which are the keys of a prefix, and of one key
			"interval like a prefix": func(t *rapid.T) {
				from, to, bounded := kv.Prefix(some.Draw(t, "prefix")).Bounds()
				if !bounded {
					t.Skip("it has no end")
				}
				w.add(mvcc.Interval(from, to))
			},
			"remove": func(t *rapid.T) {
				if len(w.ranges) == 0 {
					t.Skip("there is none")
				}
				w.remove(rapid.SampledFrom(w.ids()).Draw(t, "id"))
			},
		})
		for _, id := range w.ids() {
			w.remove(id)
		}
		if left := w.index.Left(); left != 0 {
			t.Fatalf("%d entries are left in the index of no watches", left)
		}
	})
}

// There are enough intervals that no subtree of a split or a join is empty.
func TestNoIntervalIsLostAmongHundreds(t *testing.T) {
	leaktest.Check(t)
	var keys []string
	for i := range 60 {
		keys = append(keys, fmt.Sprintf("%02d", i))
	}
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 0))
		w := newWatched()
		for range 300 {
			from := random.IntN(59)
			w.add(mvcc.Interval(keys[from], keys[from+1+random.IntN(59-from)]))
		}
		w.expect(t, keys...)
		ids := w.ids()
		random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for i, id := range ids {
			if w.remove(id); i%10 == 0 {
				w.expect(t, keys...)
			}
		}
	}
}

func TestIterationOverAllWatchesCanStopAnywhere(t *testing.T) {
	leaktest.Check(t)
	w := newWatched()
	for i := range 10 {
		for range 2 {
			w.add(mvcc.Key(letters[i]))
			w.add(mvcc.Prefix(letters[i]))
			w.add(mvcc.Interval(letters[i], letters[i+1]))
		}
	}
	for n := 1; n <= len(w.ranges); n++ {
		if got := w.index.Some(n); got != n {
			t.Errorf("stopped after %d watches there were %d", n, got)
		}
	}
}

func TestTreeOfIntervalsStaysBalanced(t *testing.T) {
	leaktest.Check(t)
	const n = 10_000
	w := mvcc.NewWatched()
	flat := func(what string) {
		t.Helper()
		if depth := w.Depth(); depth > 60 {
			t.Errorf("the tree of %s is %d deep", what, depth)
		}
	}
	interval := func(i int) mvcc.Range { return mvcc.Interval(fmt.Sprintf("%05d", i), fmt.Sprintf("%05d~", i)) }
	for i := range n {
		w.Add(i, interval(i))
	}
	flat("intervals that were added in order")
	for i := n - 1; i >= 0; i-- {
		w.Add(n+i, interval(n+i))
	}
	flat("intervals that were added backwards after others")
	for i := 0; i < 2*n; i += 2 {
		w.Remove(i)
	}
	flat("intervals of which every other was removed")
	for i := 1; i < 2*n; i += 2 {
		w.Remove(i)
	}
	if depth := w.Depth(); depth != 0 {
		t.Errorf("the empty tree is %d deep", depth)
	}
}
