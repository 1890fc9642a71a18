package bench

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strconv"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

const mapPrefix = "/app/"

// limit is a value of a Map as programs have them.
type limit struct {
	Name     string `json:"name"`
	Requests int    `json:"requests"`
	Comment  string `json:"comment"`
}

func limitOf(i int) []byte {
	return fmt.Appendf(nil, `{"name":"limit %d","requests":%d,"comment":"a limit that is neither short nor long"}`, i, i)
}

// The first View of a Map of etcd with three members: all keys of a prefix at one revision, decoded. By hand it is one range read, whose
// values are decoded into a Go map.
func BenchmarkMapFirstView(b *testing.B) {
	client := etcdtest.Start(b, 3).Client()
	store := etcd.New(client)
	have := 0
	for _, n := range []int{1000, 10_000, 100_000} {
		fill(client, have, n)
		have = n
		inTurns(b, fmt.Sprintf("keys=%d", n), func(*testing.B) []contender {
			var w *value.Watcher[value.View[limit]]
			return []contender{
				{by: "watchkv", once: func() {
					w = value.NewMap(store, kv.Prefix(mapPrefix), value.JSON[limit]).Watch()
					view, err := w.Get(context.Background())
					check(context.Background(), err)
					count(view.Len(), n)
				}, after: func() {
					w.Close()
					runtime.GC()
				}},
				{by: "clientv3", once: func() {
					resp, err := client.Get(context.Background(), mapPrefix, clientv3.WithPrefix())
					check(context.Background(), err)
					limits := make(map[string]limit)
					for _, e := range resp.Kvs {
						v, err := value.JSON[limit](e.Value)
						check(context.Background(), err)
						limits[string(e.Key)] = v
					}
					count(len(limits), n)
				}, after: runtime.GC},
			}
		})
	}
}

// From a put of one key until a watcher of a Map has the View with it, at different numbers of keys, in memory and on etcd.
func BenchmarkMapUpdate(b *testing.B) {
	sizes := []int{100, 10_000, 100_000}
	inMemory := memory.New()
	mapUpdates(b, "store=memory", sizes, inMemory, inMemory.Put, func(from, to int) {
		for i := from; i < to; i++ {
			_, err := inMemory.Put(context.Background(), mapPrefix+strconv.Itoa(i), limitOf(i))
			check(context.Background(), err)
		}
	})
	client := etcdtest.Start(b, 1).Client()
	onEtcd := etcd.New(client)
	mapUpdates(b, "store=etcd", sizes, onEtcd, onEtcd.Put, func(from, to int) { fill(client, from, to) })
}

func mapUpdates(
	b *testing.B, name string, sizes []int, store kv.Store,
	put func(context.Context, string, []byte, ...kv.Condition) (kv.Revision, error), fill func(from, to int),
) {
	have := 0
	for _, n := range sizes {
		fill(have, n)
		have = n
		inTurns(b, fmt.Sprintf("%s/keys=%d", name, n), func(b *testing.B) []contender {
			w := value.NewMap(store, kv.Prefix(mapPrefix), value.JSON[limit]).Watch()
			b.Cleanup(func() { w.Close() })
			view, err := w.Get(context.Background())
			check(context.Background(), err)
			count(view.Len(), n)
			next := 0
			return []contender{{by: "watchkv", once: func() {
				key := mapPrefix + strconv.Itoa(next)
				next = (next + 7919) % n
				_, err := put(context.Background(), key, limitOf(next))
				check(context.Background(), err)
				view, err := w.Get(context.Background())
				check(context.Background(), err)
				changes := 0
				for range view.Changes() {
					changes++
				}
				count(changes, 1)
			}}}
		})
	}
}

// The heap that each key of a Map of bytes takes, its key and its value included. The store's own copy is not counted.
func BenchmarkMapHeap(b *testing.B) {
	const n = 100_000
	for _, size := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("value=%d/by=watchkv", size), func(b *testing.B) {
			store := filled(n, size)
			before := heap()
			w := value.NewMap(store, kv.Prefix(mapPrefix), value.Bytes).Watch()
			defer w.Close()
			view, err := w.Get(context.Background())
			check(context.Background(), err)
			count(view.Len(), n)
			used := heap() - before
			for b.Loop() { // what is measured is not time
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(used)/n, "B/key")
			runtime.KeepAlive(view)
			runtime.KeepAlive(store)
		})
	}
}

// The heap of each of 1,000 idle watchers of a Map, and how many watches of the store they have together.
func BenchmarkMapWatchers(b *testing.B) {
	const n, keys = 1000, 10_000
	b.Run(fmt.Sprintf("watchers=%d/by=watchkv", n), func(b *testing.B) {
		store := filled(keys, 100)
		m := value.NewMap(store, kv.Prefix(mapPrefix), value.Bytes)
		first := m.Watch()
		defer first.Close()
		_, err := first.Get(context.Background())
		check(context.Background(), err)
		before := heap()
		watchers := make([]*value.Watcher[value.View[[]byte]], n)
		for i := range watchers {
			watchers[i] = m.Watch()
			_, err := watchers[i].Get(context.Background())
			check(context.Background(), err)
		}
		used := heap() - before
		for b.Loop() { // what is measured is not time
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(used)/n, "B/each")
		b.ReportMetric(float64(store.Store.(*memory.Store).Watches()), "watches")
		for _, w := range watchers {
			w.Close()
		}
	})
}

// filled returns a store that holds n keys below mapPrefix.
func filled(n, size int) copying {
	store := memory.New()
	val := make([]byte, size)
	for _, key := range numbered(mapPrefix, n) {
		_, err := store.Put(context.Background(), key, val)
		check(context.Background(), err)
	}
	return copying{store}
}

// copying is a store whose reads share no bytes with it, as those that arrive from a network.
type copying struct{ kv.Store }

func (c copying) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	s, err := c.Store.Get(ctx, r)
	for i := range s.Entries {
		e := &s.Entries[i]
		e.Key, e.Value = string(append([]byte(nil), e.Key...)), bytes.Clone(e.Value)
	}
	return s, err
}

// fill puts the keys of the given numbers.
func fill(client *clientv3.Client, from, to int) {
	const perTxn = 100
	atOnce((to-from)/perTxn, func(i int) {
		ops := make([]clientv3.Op, perTxn)
		for j := range ops {
			k := from + i*perTxn + j
			ops[j] = clientv3.OpPut(mapPrefix+strconv.Itoa(k), string(limitOf(k)))
		}
		_, err := client.Txn(context.Background()).Then(ops...).Commit()
		check(context.Background(), err)
	})
}

func count(got, want int) {
	if got != want {
		panic(fmt.Sprintf("there are %d, want %d", got, want))
	}
}
