package etcd_test

import (
	"context"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// stream returns the metadata by which etcd's client chooses the gRPC stream of a watch.
func stream(ctx context.Context) string {
	md, _ := metadata.FromOutgoingContext(ctx)
	if len(md.Get(rpctypes.MetadataRequireLeaderKey)) == 0 {
		return "without a leader"
	}
	return md.Get("watchkv-stream")[0]
}

func TestWatchesShareAStreamUntilOneIsRefused(t *testing.T) {
	leaktest.Check(t)
	s := newScript()
	store := etcd.New(&fake{watch: s.watch})
	watch := func(response clientv3.WatchResponse) string {
		s.say(response)
		for range store.Watch(within(t, patience), kv.Key("k"), 10) {
			break
		}
		return stream(s.ctxs[len(s.ctxs)-1])
	}
	denied := refused(t, "etcdserver: permission denied")
	compacted := headed(header(11), clientv3.WatchResponse{Canceled: true, CompactRevision: 11})

	first := watch(progress(11))
	if again := watch(compacted); again != first || first == "without a leader" {
		t.Errorf("the first two watches are on streams %s and %s, want one that requires a leader", first, again)
	}
	if again := watch(denied); again != first {
		t.Errorf("after a compaction a watch is on stream %s, want %s", again, first)
	}
	second := watch(progress(11))
	if second == first {
		t.Errorf("after a refusal a watch is on the stream of the refusal, %s", second)
	}
	if again := watch(progress(11)); again != second {
		t.Errorf("the next watch is on stream %s, want %s", again, second)
	}
	// Another Store of the same client uses other streams once it was refused.
	store = etcd.New(&fake{watch: s.watch})
	watch(denied)
	if other := watch(progress(11)); other == first || other == second {
		t.Errorf("a Store that was refused uses stream %s of another Store", other)
	}
}

func TestAWatchThatEndsIsNotOpenedAgain(t *testing.T) {
	leaktest.Check(t)
	s := newScript(refused(t, "etcdserver: no leader"))
	s.end()
	store := etcd.New(&fake{watch: s.watch})
	r := read(t, store.Watch(within(t, patience), kv.Key("k"), 10))
	r.end(kv.ErrUnavailable)
	if len(s.opens) != 1 {
		t.Errorf("the watch was opened %d times, want once", len(s.opens))
	}
}

func TestEachIterationIsASeparateWatch(t *testing.T) {
	leaktest.Check(t)
	s := newScript()
	watch := etcd.New(&fake{watch: s.watch}).Watch(within(t, patience), kv.Key("k"), 10)
	for range 2 {
		s.say(changed("k", 11))
		for b, err := range watch {
			if err != nil || b.Revision != 11 {
				t.Errorf("got %v, %v, want revision 11", b, err)
			}
			break
		}
	}
}

// A client that is closed closes the channels of its watches without an error. A client that loses the last response of a watch does the
// same.
func TestAWatchThatEndsWithoutAnErrorReturnsTheCause(t *testing.T) {
	closed, cancel := context.WithCancel(context.Background())
	cancel()
	closing := status.Error(codes.Canceled, "grpc: the client connection is closing")
	for name, test := range map[string]struct {
		ctx   context.Context // of the client; nil if the client has none
		first []clientv3.WatchResponse
		get   error // what a read returns
		want  error
	}{
		"a closed client with an error":      {ctx: closed, want: kv.ErrClosed},
		"a closed client that does not tell": {get: closing, want: kv.ErrClosed},
		"an open client with an error":       {ctx: context.Background(), want: kv.ErrUnavailable},
		"an open client that does not tell":  {want: kv.ErrUnavailable},
		"a client without permission":        {get: rpctypes.ErrPermissionDenied, want: kv.ErrPermission},
		"a watch that has run":               {first: []clientv3.WatchResponse{changed("k", 11)}, get: closing, want: kv.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			s := newScript(test.first...)
			s.end()
			f := &fake{watch: s.watch, get: func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) {
				if test.get != nil {
					return nil, test.get
				}
				return &clientv3.GetResponse{Header: header(11)}, nil
			}}
			var client etcd.Client = f
			if test.ctx != nil {
				client = &openFake{f, test.ctx}
			}
			read(t, etcd.New(client).Watch(within(t, patience), kv.Key("k"), 10)).end(test.want)
		})
	}
}

// etcd's client may return a nil channel if the context of a watch ends while the client is disconnected.
func TestAWatchWithoutAChannelEndsWithItsContext(t *testing.T) {
	leaktest.Check(t)
	ctx, cancel := context.WithCancel(within(t, patience))
	defer cancel()
	store := etcd.New(&fake{watch: func(context.Context, clientv3.Op) clientv3.WatchChan {
		cancel()
		return nil
	}})
	r := read(t, store.Watch(ctx, kv.Key("k"), 10))
	r.end(context.Canceled)
}

func TestTheEndOfAWatchIsDeliveredAfterReceivedBatches(t *testing.T) {
	leaktest.Check(t)
	s := newScript(changed("k", 11), changed("k", 12), clientv3.WatchResponse{Canceled: true, CompactRevision: 20})
	batches, err := read(t, etcd.New(&fake{watch: s.watch}).Watch(within(t, patience), kv.Key("k"), 10)).end(kv.ErrCompacted)
	if len(batches) != 2 || batches[1].Revision != 12 {
		t.Errorf("got %v before %v, want revisions 11 and 12", batches, err)
	}
}

func TestADoneContextIsReportedBeforeBufferedBatches(t *testing.T) {
	leaktest.Check(t)
	ctx, cancel := context.WithCancel(within(t, patience))
	defer cancel()
	s := newScript(changed("k", 11), changed("k", 12), changed("k", 13))
	r := read(t, etcd.New(&fake{watch: s.watch}).Watch(ctx, kv.Key("k"), 10))
	r.batch()
	cancel()
	if held, _ := r.end(context.Canceled); len(held) != 0 {
		t.Errorf("after its context had ended the watch yielded %v", held)
	}
}

func TestADoneContextIsReportedBeforeAReset(t *testing.T) {
	leaktest.Check(t)
	for range 20 { // two channels are ready: chance decides which is read first
		revision := int64(11)
		s := newScript(changed("k", 11))
		store := etcd.New(&fake{watch: s.watch, get: answeredAt(func() int64 { return revision })})
		must(store.Get(t.Context(), kv.Key("k")))(t)
		ctx, cancel := context.WithCancel(t.Context())
		r := read(t, store.Watch(ctx, kv.Key("k"), 10))
		r.batch()
		revision = 5
		must(store.Get(t.Context(), kv.Key("k")))(t)
		cancel()
		r.end(context.Canceled)
	}
}

func TestBookmarksFollowChangesOutsideTheRange(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, time.Hour)
		store := etcd.New(cluster.Client())
		rev := must(store.Put(ctx, "/k", nil))(t)
		other := must(store.Put(ctx, "/other", nil))(t)
		for b, err := range store.Watch(ctx, kv.Key("/k"), rev) {
			if err != nil || !b.IsBookmark() {
				t.Fatalf("got %v, %v, want a bookmark", b, err)
			}
			if b.Revision > other {
				t.Errorf("a bookmark is at %d, the store at %d", b.Revision, other)
			}
			if b.Revision == other {
				break
			}
		}
	}, bookmarksOften)
}
