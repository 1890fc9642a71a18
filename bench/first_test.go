package bench

import (
	"context"
	"fmt"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
	"github.com/watchkv/watchkv/value"
)

// The first value of a key that is not watched yet: by a Value, whose watch begins concurrently and is ended again, and by one read of
// etcd's client.
func BenchmarkFirstGet(b *testing.B) {
	client := etcdtest.Start(b, 1).Client()
	const key = "/app/limits"
	check(b.Context(), putTo(client)(key))
	store := etcd.New(client)
	inTurns(b, "of=etcd", func(b *testing.B) []contender {
		var w *value.Watcher[[]byte]
		return []contender{
			{by: "watchkv", once: func() {
				w = value.New(store, key, value.Bytes).Watch()
				_, err := w.Get(context.Background())
				check(context.Background(), err)
			}, after: func() { w.Close() }},
			{by: "clientv3", once: func() {
				_, err := client.Get(context.Background(), key)
				check(context.Background(), err)
			}},
		}
	})
}

// All the keys beneath a prefix, at one revision: in pages, as package kv/etcd reads them, and in one request of etcd's client.
func BenchmarkReadRange(b *testing.B) {
	const perTxn = 100
	client := etcdtest.Start(b, 1).Client()
	val := string(payload)
	have := 0
	for _, n := range []int{1000, 10_000, 100_000} {
		added := numbered("/app/", n)[have:]
		have = n
		atOnce(len(added)/perTxn, func(i int) {
			ops := make([]clientv3.Op, perTxn)
			for j := range ops {
				ops[j] = clientv3.OpPut(added[i*perTxn+j], val)
			}
			_, err := client.Txn(context.Background()).Then(ops...).Commit()
			check(context.Background(), err)
		})
		store := etcd.New(client)
		count := func(got int) {
			if got != n {
				panic(fmt.Sprintf("%d keys were read, want %d", got, n))
			}
		}
		inTurns(b, fmt.Sprintf("keys=%d", n), func(*testing.B) []contender {
			return []contender{
				{by: "watchkv", once: func() {
					s, err := store.Get(context.Background(), kv.Prefix("/app/"))
					check(context.Background(), err)
					count(len(s.Entries))
				}},
				{by: "clientv3", once: func() {
					resp, err := client.Get(context.Background(), "/app/", clientv3.WithPrefix())
					check(context.Background(), err)
					count(len(resp.Kvs))
				}},
			}
		})
	}
}
