package etcdmem_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// unread starts watches on a stream that nothing reads yet, and puts a key that they watch. After each put the member has sent all that the
// stream takes. So what waits in the member does not depend on which of its goroutines is faster.
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
		synctest.Wait()
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

// The piece of the past that is sent at once has the newest revision in its header. One that has to wait has the last revision before the
// next piece, as in etcd.
func TestAPieceOfThePastThatHasToWaitHasTheRevisionBeforeTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const piece, changes, more = 1000, 1100, 300 // so many more that the queue of the stream is full
		client := etcdmem.Start(t, 1).Client()
		for range changes {
			put(t, client, "/past", "")
		}
		create := func(stream pb.Watch_WatchClient) {
			err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
				Key: []byte("/past"), StartRevision: 2,
			}}})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // until the server has offered the past to the watch
		}
		full, empty := unread(t, client, 1, more, 4<<10), unread(t, client, 0, 0, 0)
		create(full)
		create(empty)
		if got, want := pastRevision(t, empty, 0), int64(1+changes+more); got != want {
			t.Errorf("a piece that is sent at once has revision %d, want %d", got, want)
		}
		if got, want := pastRevision(t, full, 1), int64(1+piece); got != want {
			t.Errorf("a piece that had to wait has revision %d, want %d", got, want)
		}
	})
}

// pastRevision returns the revision in the header of the first events of a watch.
func pastRevision(t *testing.T, stream pb.Watch_WatchClient, watch int64) int64 {
	t.Helper()
	for {
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if r.WatchId == watch && len(r.Events) > 0 {
			return r.Header.Revision
		}
	}
}
