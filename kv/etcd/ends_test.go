package etcd_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
)

// busy is how long a consumer handles one batch in these tests. In that time the stand-in takes over and receives the next responses.
const busy = time.Second

func TestAnEndWhileTheConsumerIsBusyIsReportedAndEndsTheWatch(t *testing.T) {
	compacted := clientv3.WatchResponse{Canceled: true, CompactRevision: 20}
	for name, test := range map[string]struct {
		said []clientv3.WatchResponse
		want error
		held int // batches that are yielded before the end
	}{
		"a compaction":                          {[]clientv3.WatchResponse{compacted}, kv.ErrCompacted, 0},
		"a compaction after what was received":  {[]clientv3.WatchResponse{changed("k", 12), changed("k", 13), compacted}, kv.ErrCompacted, 2},
		"a refusal":                             {[]clientv3.WatchResponse{refused(t, "etcdserver: permission denied")}, kv.ErrPermission, 0},
		"another history drops what was before": {[]clientv3.WatchResponse{changed("k", 13), changed("k", 12)}, kv.ErrReset, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(changed("k", 11))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				r := read(t, etcd.New(&fake{watch: s.watch}).Watch(ctx, kv.Key("k"), 10))
				r.batch()
				s.say(test.said...)
				time.Sleep(busy)
				batches, err := r.end(test.want)
				if len(batches) != test.held {
					t.Errorf("promised: the batches received before %v are yielded before it; it yielded %v, want %d batches", err, batches, test.held)
				}
				if len(s.opens) != 1 {
					t.Errorf("promised: a watch that has ended is not opened again; it was opened %d times", len(s.opens))
				}
			})
		})
	}
}

func TestBatchesThatArriveWhileTheConsumerIsBusyAreDeliveredOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(changed("k", 11))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r := read(t, etcd.New(&fake{watch: s.watch}).Watch(ctx, kv.Key("k"), 10))
		for next := int64(11); next < 40; next++ {
			if b := r.batch(); b.Revision != kv.Revision(next) || len(b.Events) != 1 {
				t.Fatalf("promised: each event once, in order; got %v, want one event of revision %d", b, next)
			}
			if next%3 == 2 { // the stand-in no longer holds batches
				s.say(changed("k", next+1), changed("k", next+2), changed("k", next+3))
				time.Sleep(busy)
			}
		}
	})
}

// The revisions of another cluster mean nothing in this one.
func TestNoEventOfAnotherClusterIsDeliveredBeforeTheReset(t *testing.T) {
	foreign := headed(&pb.ResponseHeader{ClusterId: 2, MemberId: 9, RaftTerm: 1, Revision: 2000}, changed("k", 12))
	for name, wait := range map[string]time.Duration{"a consumer that waits": 0, "a consumer that is busy": busy} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(changed("k", 11))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				r := read(t, etcd.New(&fake{watch: s.watch}).Watch(ctx, kv.Key("k"), 10))
				r.batch()
				s.say(foreign)
				time.Sleep(wait)
				if foreign, _ := r.end(kv.ErrReset); len(foreign) != 0 {
					t.Errorf("promised: no event of another cluster is yielded; %v was", foreign)
				}
			})
		})
	}
}

// The responses of a watch prove as much as the answers of reads: see W13.
func TestAReadThatIsOlderThanAWatchIsAReset(t *testing.T) {
	for name, test := range map[string]struct {
		answer *pb.ResponseHeader // of a read; before, the watch has seen revision 1000 of cluster 1, from member 1 at term 2
		reset  bool
	}{
		"the same":                  {&pb.ResponseHeader{ClusterId: 1, MemberId: 1, RaftTerm: 2, Revision: 1000}, false},
		"an older revision":         {&pb.ResponseHeader{ClusterId: 1, MemberId: 1, RaftTerm: 2, Revision: 999}, true},
		"another's older revision":  {&pb.ResponseHeader{ClusterId: 1, MemberId: 2, RaftTerm: 2, Revision: 999}, true},
		"an older term":             {&pb.ResponseHeader{ClusterId: 1, MemberId: 1, RaftTerm: 1, Revision: 1000}, true},
		"another's older term":      {&pb.ResponseHeader{ClusterId: 1, MemberId: 2, RaftTerm: 1, Revision: 1000}, false},
		"another cluster, as new":   {&pb.ResponseHeader{ClusterId: 2, MemberId: 1, RaftTerm: 2, Revision: 1000}, true},
		"another cluster, further":  {&pb.ResponseHeader{ClusterId: 2, MemberId: 3, RaftTerm: 9, Revision: 5000}, true},
		"the same cluster, further": {&pb.ResponseHeader{ClusterId: 1, MemberId: 3, RaftTerm: 9, Revision: 5000}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(changed("k", 11)) // its header is at 1000
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				store := etcd.New(&fake{watch: s.watch, get: func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) {
					return &clientv3.GetResponse{Header: test.answer}, nil
				}})
				r := read(t, store.Watch(ctx, kv.Key("k"), 10))
				r.batch()
				if got := must(store.Get(ctx, kv.Key("k")))(t); got.Revision != kv.Revision(test.answer.Revision) {
					t.Errorf("the read is of revision %d, want %d", got.Revision, test.answer.Revision)
				}
				if test.reset {
					r.end(kv.ErrReset)
					return
				}
				s.say(headed(header(1001), changed("k", 1001)))
				if b := r.batch(); b.Revision != 1001 {
					t.Errorf("promised: the watch goes on; it yielded %v", b)
				}
			})
		})
	}
}
