package bench

import (
	"context"
	"fmt"
	"runtime"
	"testing"
)

var sizes = []int{1000, 100_000, 1_000_000}

// Puts and reads of keys that are there, and what each of them takes of the heap, its key and its value included.
func BenchmarkAmongKeys(b *testing.B) {
	const atOnce = 100
	for _, n := range sizes {
		keys := numbered("/app/limits/", n)
		var perKey []float64
		var dbs []database
		for _, made := range databases {
			before := heap()
			db := made()
			for _, key := range keys {
				check(b.Context(), db.put(key))
			}
			perKey = append(perKey, float64(heap()-before)/float64(n))
			dbs = append(dbs, db)
		}
		each := func(do func(db database, key string)) func(*testing.B) []contender {
			return func(*testing.B) (cs []contender) {
				for _, db := range dbs {
					next := 0
					cs = append(cs, contender{by: db.by(), ops: atOnce, once: func() {
						for range atOnce {
							do(db, keys[next])
							next = (next + 7919) % n
						}
					}})
				}
				return cs
			}
		}
		inTurns(b, fmt.Sprintf("do=put/keys=%d", n), each(func(db database, key string) { check(context.Background(), db.put(key)) }))
		inTurns(b, fmt.Sprintf("do=get/keys=%d", n), each(func(db database, key string) {
			if len(db.get(key)) != len(payload) {
				panic("another value was put")
			}
		}))
		for i, db := range dbs {
			b.Run(fmt.Sprintf("do=keep/keys=%d/by=%s", n, db.by()), func(b *testing.B) {
				for b.Loop() { // what is measured is not time
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(perKey[i], "B/key")
			})
		}
		runtime.KeepAlive(keys)
	}
}

// heap is what is in use after everything that can be freed was.
func heap() int64 {
	var m runtime.MemStats
	for range 3 { // finalizers and pools need more than one
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
