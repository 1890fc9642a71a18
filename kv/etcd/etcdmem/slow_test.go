package etcdmem_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// unread starts watches on a stream that nothing reads yet, and puts keys that they watch.
func unread(t *testing.T, client *clientv3.Client, watches, puts, size int) pb.Watch_WatchClient {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream, err := pb.NewWatchClient(client.ActiveConnection()).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range watches {
		stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("/a")}}})
		if r, err := stream.Recv(); err != nil || !r.Created {
			t.Fatalf("a watch was not created: %v, %v", r, err)
		}
	}
	value := strings.Repeat("v", size)
	for range puts {
		put(t, client, "/a", value)
	}
	return stream
}

func TestAWatchThatIsNotReadMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const watches, puts = 3, 1200
		stream := unread(t, etcdmem.Start(t, 1).Client(), watches, puts, 1<<10)
		next := map[int64]int64{0: 2, 1: 2, 2: 2}
		for got := 0; got < watches*puts; {
			r, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			for _, event := range r.Events {
				if event.Kv.ModRevision != next[r.WatchId] {
					t.Fatalf("watch %d gets revision %d, want %d", r.WatchId, event.Kv.ModRevision, next[r.WatchId])
				}
				next[r.WatchId]++
				got++
			}
		}
	})
}

func TestAWatchThatIsNotReadUsesLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := etcdmem.Start(t, 1)
		client := cluster.Client()
		last := put(t, client, "/b", "")
		before := heap()
		const puts, size = 400, 50 << 10 // 20 MB
		stream := unread(t, client, 20, puts, size)
		if err := cluster.Compact(t.Context(), last+puts); err != nil {
			t.Fatal(err)
		}
		if held := heap() - before; held > 5<<20 {
			t.Errorf("%d MB are held for watches that nothing reads, after puts of %d MB", held>>20, puts*size>>20)
		}
		ended := 0
		for ended < 20 {
			r, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if r.Canceled {
				if r.CompactRevision != last+puts {
					t.Errorf("a watch ends with %+v", r)
				}
				ended++
			}
		}
	})
}
