package etcdmem_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// A member has a defect if and only if the test asks for it.
func TestEachDefectIsThatOfEtcd(t *testing.T) {
	for name, c := range map[string]struct {
		defect  etcdmem.Defect
		members int
		broken  func(t *testing.T, cluster *etcdmem.Cluster) bool
	}{
		"ProgressRunsAhead":       {etcdmem.ProgressRunsAhead, 1, progressRunsAhead},
		"CompactionForgetsSlow":   {etcdmem.CompactionForgetsSlow, 1, compactionForgetsSlow},
		"CompactionForgetsDelete": {etcdmem.CompactionForgetsDelete, 1, compactionForgetsDelete},
		"SnapshotWakesFuture":     {etcdmem.SnapshotWakesFuture, 3, snapshotWakesFuture},
	} {
		for _, broken := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, broken), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var options []etcdmem.Option
					if broken {
						options = append(options, etcdmem.WithDefects(c.defect))
					}
					if got := c.broken(t, etcdmem.Start(t, c.members, options...)); got != broken {
						t.Errorf("the defect is there: %v; want %v", got, broken)
					}
				})
			})
		}
	}
}

// putAll puts value n times and returns the last revision.
func putAll(t *testing.T, client *clientv3.Client, n int, value string) (last int64) {
	t.Helper()
	for range n {
		put, err := client.Put(t.Context(), "/a", value)
		if err != nil {
			t.Fatal(err)
		}
		last = put.Header.Revision
	}
	return last
}

// A watch asks for the history from the beginning. Before the history is sent, the client asks for progress.
func progressRunsAhead(t *testing.T, cluster *etcdmem.Cluster) bool {
	client := cluster.Client()
	last := putAll(t, client, 3, "1")
	watch := client.Watch(t.Context(), "/a", clientv3.WithRev(2), clientv3.WithCreatedNotify())
	<-watch
	if err := client.RequestProgress(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := <-watch
	return first.IsProgressNotify() && first.Header.Revision == last
}

// A client with many watches on a stream reads nothing until the stream's queue is full. After a compaction it reads a little, and later the
// rest. The function reports whether a watch received a later event and silently missed the events before it.
func compactionForgetsSlow(t *testing.T, cluster *etcdmem.Cluster) (forgotten bool) {
	const watches = 40
	w := newWorld(t, etcdmem.Any(cluster))
	defer w.close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := pb.NewWatchClient(w.conns[0]).Watch(ctx)
	w.must(err)
	next := make(map[int64]int64) // the next revision of each watch; absent once the watch has ended
	first := putAll(t, cluster.Client(), 1, "first") + 1
	receive := func() {
		r, err := stream.Recv()
		w.must(err)
		switch {
		case r.Created:
			next[r.WatchId] = first
		case r.CompactRevision != 0:
			delete(next, r.WatchId)
		}
		for _, e := range r.Events {
			forgotten = forgotten || e.Kv.ModRevision != next[r.WatchId]
			next[r.WatchId] = e.Kv.ModRevision + 1
		}
	}
	for range watches {
		create := &pb.WatchCreateRequest{Key: []byte("/a")}
		w.must(stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}))
		receive()
	}
	last := putAll(t, cluster.Client(), 20, strings.Repeat("large", 2<<10))
	w.must(cluster.Compact(ctx, last))
	for range watches / 2 { // this makes room in the queue for the events of as many watches
		receive()
	}
	time.Sleep(time.Second) // until the member has tried to report the compaction
	later := putAll(t, cluster.Client(), 1, "later")
	for pending := watches; pending > 0; {
		receive()
		pending = 0
		for _, lacks := range next {
			if lacks <= later {
				pending++
			}
		}
	}
	return forgotten
}

func compactionForgetsDelete(t *testing.T, cluster *etcdmem.Cluster) bool {
	client := cluster.Client()
	putAll(t, client, 3, "1")
	deleted, err := client.Delete(t.Context(), "/a")
	if err != nil {
		t.Fatal(err)
	}
	putAll(t, client, 1, "2")
	if err := cluster.Compact(t.Context(), deleted.Header.Revision); err != nil {
		t.Fatal(err)
	}
	first := <-client.Watch(t.Context(), "/a", clientv3.WithRev(deleted.Header.Revision))
	if err := first.Err(); err != nil {
		t.Fatal(err)
	}
	return first.Events[0].Type != clientv3.EventTypeDelete
}

// The member lags by more changes than the leader keeps for it. A watch there waits for a future revision.
func snapshotWakesFuture(t *testing.T, cluster *etcdmem.Cluster) bool {
	if testing.Short() {
		t.Skip("the leader keeps 5,000 changes for a member that lags")
	}
	leader, err := cluster.WaitLeader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lags := (leader + 1) % 3
	const behind, start = 5001, 5100
	watch := cluster.Client(lags).Watch(t.Context(), "/a", clientv3.WithRev(start), clientv3.WithCreatedNotify())
	<-watch
	client := cluster.Client(leader)
	cluster.Partition(lags)
	putAll(t, client, behind, "1")
	cluster.Heal()
	time.Sleep(10 * time.Second) // until the member has caught up
	putAll(t, client, 200, "2")
	first := <-watch
	if err := first.Err(); err != nil {
		t.Fatal(err)
	}
	return first.Events[0].Kv.ModRevision < start
}
