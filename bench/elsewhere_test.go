package bench

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/watchkv/watchkv/value"
)

const manyKeys = 100_000

// A put into a store in memory while watchers wait for other keys: it wakes no watcher. In the case without watchers, the same number of
// watchers wait for keys of another store, so that the garbage collector has the same work.
func BenchmarkPutWithWatchersOfOtherKeys(b *testing.B) {
	other := numbered("/other/", manyKeys)
	for _, made := range databases {
		watched, unwatched := made(), made()
		ctx, cancel := context.WithCancel(context.Background())
		var waiting, running sync.WaitGroup
		waiting.Add(len(other))
		for _, key := range other {
			check(ctx, watched.put(key))
			check(ctx, unwatched.put(key))
			var once sync.Once
			running.Go(func() { watched.follow(ctx, key, func() { once.Do(waiting.Done) }) })
		}
		waiting.Wait()
		inTurns(b, "of="+watched.by(), func(*testing.B) []contender {
			return []contender{
				{by: "without-watchers", once: puts(unwatched), ops: putsAtOnce},
				{by: "with-watchers", once: puts(watched), ops: putsAtOnce},
			}
		})
		cancel()
		running.Wait()
	}
}

const putsAtOnce = 1000

// puts returns what puts so many times, among as many keys.
func puts(db database) func() {
	keys := numbered("/app/", putsAtOnce)
	return func() {
		for _, key := range keys {
			check(context.Background(), db.put(key))
		}
	}
}

// A put of one key, until the one watcher of that has got it, while others wait for as many other keys.
func BenchmarkWakeOneOfMany(b *testing.B) {
	for _, n := range []int{1, 100, 10_000, manyKeys} {
		keys := numbered("/app/", n)
		inTurns(b, fmt.Sprintf("keys=%d", n), func(b *testing.B) (cs []contender) {
			for _, made := range databases {
				db := made()
				follow := func(ctx context.Context, _ *sync.WaitGroup, key string, _ int, got func()) { db.follow(ctx, key, got) }
				cs = append(cs, contender{by: db.by(), once: wakeOne(b, db.put, keys, follow)})
			}
			return cs
		})
	}
}

// As BenchmarkWakeOneOfMany, with a Value for each key, which is what a program has.
func BenchmarkWakeOneOfManyValues(b *testing.B) {
	for _, n := range []int{1, 100, 10_000, manyKeys} {
		keys := numbered("/app/", n)
		inTurns(b, fmt.Sprintf("values=%d", n), func(b *testing.B) []contender {
			db := newMemory().(memoryDB)
			return []contender{{by: "watchkv", once: wakeOne(b, db.put, keys, watchers(db.store, nil))}}
		})
	}
}

// wakeOne makes one follower wait for each of keys. It returns a function that puts one of the keys, always the same, and waits until its
// follower has got it.
func wakeOne(b *testing.B, put func(key string) error, keys []string,
	follow func(context.Context, *sync.WaitGroup, string, int, func())) (once func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	b.Cleanup(func() {
		cancel()
		running.Wait()
	})
	got := make(chan struct{}, len(keys))
	for _, key := range keys {
		running.Go(func() { follow(ctx, &running, key, 1, func() { got <- struct{}{} }) })
	}
	for _, key := range keys {
		check(ctx, put(key))
	}
	for range keys {
		<-got
	}
	one := keys[len(keys)/2]
	return func() {
		check(ctx, put(one))
		<-got
	}
}

// What an update costs the only watcher of a key, as more and more came before. It asks for every update.
func BenchmarkWakeAfterManyUpdates(b *testing.B) {
	for _, n := range []int{1, 1000, 1_000_000} {
		inTurns(b, fmt.Sprintf("updates=%d", n), func(b *testing.B) []contender {
			c := gather(b, onMemory(value.EveryUpdate()), 1)
			for range n {
				c.round()
			}
			runtime.GC()
			return []contender{{by: "watchkv", once: c.round}}
		})
	}
}

// numbered returns n keys.
func numbered(prefix string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = prefix + strconv.Itoa(i)
	}
	return keys
}
