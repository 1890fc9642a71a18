package mvcc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// The index is right if it finds exactly the watches whose ranges hold the key, each once.
func FuzzIndexFindsWhatContains(f *testing.F) {
	f.Add([]byte("\x00ab\x01a\x02ac\x03\x02bc\x00\x81\x82x"))
	f.Add([]byte("\x02ad\x02be\x02cf\x02ag\x82\x82\x82\x82"))
	f.Fuzz(func(t *testing.T, program []byte) {
		x := mvcc.NewWatched()
		ranges := make(map[int]mvcc.Range)
		next := 0
		short := func() string { // few different keys, so that ranges overlap
			if len(program) == 0 {
				return "m"
			}
			n := int(program[0])
			program = program[1:]
			return "aabacacbcc"[n%9 : n%9+1+n/9%2]
		}
		for len(program) > 0 {
			op := program[0]
			program = program[1:]
			switch {
			case op >= 0x80 && len(ranges) > 0:
				for id := int(op) % next; ; id = (id + 1) % next {
					if _, ok := ranges[id]; ok {
						x.Remove(id)
						delete(ranges, id)
						break
					}
				}
			default:
				r := []mvcc.Range{mvcc.Prefix(""), mvcc.Key(short()), mvcc.Prefix(short()), mvcc.Interval(short(), short()), mvcc.From(short())}[op%5]
				x.Add(next, r)
				ranges[next] = r
				next++
			}
			if got := x.All(); len(got) != len(ranges) {
				t.Fatalf("the index has the watches %v, want %d", got, len(ranges))
			}
			for _, key := range []string{"a", "aa", "ab", "ac", "b", "ba", "bb", "c", "ca", "cb", "cc", "d"} {
				want := make(map[int]int)
				for id, r := range ranges {
					if r.Contains(key) {
						want[id] = 1
					}
				}
				if d := cmp.Diff(want, x.Find(key)); d != "" {
					t.Fatalf("watches found for %q, of %v, -want +got:\n%s", key, ranges, d)
				}
			}
		}
	})
}
