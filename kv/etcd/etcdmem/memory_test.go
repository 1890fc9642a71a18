package etcdmem_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// BenchmarkMemory reports how much heap a key and a watch take. The keys were put once, with values of 100 bytes. The watches are on one
// stream, each of one key. A real member also has the values in a file.
func BenchmarkMemory(b *testing.B) {
	const n = 50_000
	for _, place := range []struct {
		name  string
		start func(b *testing.B) *clientv3.Client
	}{
		{"memory", func(b *testing.B) *clientv3.Client { return etcdmem.Start(b, 1).Client() }},
		{"etcd", func(b *testing.B) *clientv3.Client { return etcdtest.Start(b, 1).Client() }},
	} {
		b.Run("key/"+place.name, func(b *testing.B) {
			client := place.start(b)
			for b.Loop() {
				before := heap()
				putMany(b, client, n)
				b.ReportMetric(float64(heap()-before)/n, "heap-B/key")
			}
		})
		b.Run("watch/"+place.name, func(b *testing.B) {
			client := place.start(b)
			for b.Loop() {
				before := heap()
				stop := watchMany(b, client, n)
				b.ReportMetric(float64(heap()-before)/n, "heap-B/watch")
				stop()
			}
		})
	}
}

// heap returns the bytes of the heap that are in use.
func heap() int64 {
	for range 3 { // the second collection frees what is in pools
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// putMany puts keys in large transactions.
func putMany(b *testing.B, client *clientv3.Client, n int) {
	value := strings.Repeat("v", 100)
	for i := 0; i < n; i += 100 {
		var ops []clientv3.Op
		for k := i; k < i+100; k++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("/keys/%06d", k), value))
		}
		if _, err := client.Txn(b.Context()).Then(ops...).Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

// watchMany opens watches on a stream. It does not use etcd's client, because that has goroutines for each watch.
func watchMany(b *testing.B, client *clientv3.Client, n int) (stop func()) {
	ctx, cancel := context.WithCancel(b.Context())
	stream, err := pb.NewWatchClient(client.ActiveConnection()).Watch(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		create := &pb.WatchCreateRequest{Key: fmt.Appendf(nil, "/keys/%06d", i)}
		err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}})
		if err == nil {
			_, err = stream.Recv()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return cancel
}
