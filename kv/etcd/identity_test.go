package etcd_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestARestoreToAnOlderStateIsReportedByTheNextRead(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		old := must(store.Put(ctx, "k", []byte("old")))(t)
		backup := must(cluster.Backup(ctx))(t)
		r := read(t, store.Watch(ctx, kv.Key("k"), old-1))
		idle := read(t, store.Watch(ctx, kv.Key("j"), old))
		r.batch()
		must(store.Put(ctx, "k", []byte("new")))(t)
		r.batch()
		ends := make(chan error)
		go func() {
			_, err, _ := idle.pull()
			ends <- err
		}()
		if err := errors.Join(cluster.WaitWatchers(ctx, 0, 2), cluster.Restore(ctx, backup)); err != nil {
			t.Fatal(err)
		}
		got := must(store.Get(ctx, kv.Key("k")))(t)
		if got.Revision != old || string(got.Entries[0].Value) != "old" {
			t.Errorf("got %+v, want what was restored, at %d", got, old)
		}
		r.end(kv.ErrReset)
		if err := <-ends; !errors.Is(err, kv.ErrReset) {
			t.Errorf("a watch that was waiting ended with %v, want %v", err, kv.ErrReset)
		}
		// The same Store can watch after the revision of the new read.
		again := read(t, store.Watch(ctx, kv.Key("k"), got.Revision))
		rev := must(store.Put(ctx, "k", nil))(t)
		again.nextIs(rev)
	})
}

func TestARestoreToAnOlderStateIsReportedByTheNextWrite(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		old := must(store.Put(ctx, "k", nil))(t)
		backup := must(cluster.Backup(ctx))(t)
		for range 3 {
			must(store.Put(ctx, "k", nil))(t)
		}
		r := read(t, store.Watch(ctx, kv.Key("k"), old))
		r.batch()
		if err := cluster.Restore(ctx, backup); err != nil {
			t.Fatal(err)
		}
		if rev := must(store.Put(ctx, "k", nil))(t); rev != old+1 {
			t.Errorf("the put is at %d, want %d", rev, old+1)
		}
		r.end(kv.ErrReset)
	})
}

// A watch after the last revision of another watch needs no read first.
func TestAReplacedHistoryIsReportedWhenAWatchBegins(t *testing.T) {
	for name, replace := range map[string]func(context.Context, etcdmem.AnyCluster, etcdmem.AnyBackup) error{
		"restored": func(ctx context.Context, c etcdmem.AnyCluster, b etcdmem.AnyBackup) error { return c.Restore(ctx, b) },
		"another":  func(ctx context.Context, c etcdmem.AnyCluster, _ etcdmem.AnyBackup) error { return c.Replace(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			onPlainAndNamespace(t, func(t *testing.T, cluster etcdmem.AnyCluster, client etcd.Client) {
				ctx := within(t, patience)
				store := etcd.New(client)
				must(store.Put(ctx, "k", nil))(t)
				backup := must(cluster.Backup(ctx))(t)
				rev := must(store.Put(ctx, "k", nil))(t)
				if err := replace(ctx, cluster, backup); err != nil {
					t.Fatal(err)
				}
				read(t, store.Watch(ctx, kv.Key("k"), rev)).end(kv.ErrReset)
				// Each watch is reset until the new history has reached the revision.
				for got := kv.Revision(0); got < rev; {
					read(t, store.Watch(ctx, kv.Key("k"), rev)).end(kv.ErrReset)
					got = must(store.Put(ctx, "k", nil))(t)
				}
				again := read(t, store.Watch(ctx, kv.Key("k"), rev))
				must(store.Put(ctx, "k", nil))(t)
				again.batch()
			})
		})
	}
}

// A revision belongs to a lost history if that history had reached it and the new one, as far as the Store knows, has not.
func TestAWatchAfterALostRevisionIsAReset(t *testing.T) {
	for name, test := range map[string]struct {
		after, reached kv.Revision // the revision to watch after, and the member's revision when the watch begins
		reset          bool
	}{
		"the newest one":                   {10, 6, true},
		"the first that was not restored":  {7, 6, true},
		"the last that was restored":       {6, 6, false},
		"one that is reached again":        {9, 9, false},
		"the newest of two lost histories": {20, 6, true},
		"one that no history has reached":  {21, 6, false},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			var next int64 // each answer is older than the one before
			s := newScript(headed(header(int64(test.reached)), clientv3.WatchResponse{Created: true}))
			store := etcd.New(&fake{watch: s.watch, get: answeredAt(func() int64 { return next })})
			for _, next = range []int64{20, 10, 5} {
				must(store.Get(t.Context(), kv.Key("k")))(t)
			}
			r := read(t, store.Watch(within(t, patience), kv.Key("k"), test.after))
			if test.reset {
				r.end(kv.ErrReset)
				return
			}
			s.say(changed("k", 30))
			r.batch()
		})
	}
}

// A watch may begin at a member that lags behind other members. That is no reset.
func TestWhatTheBeginningOfAWatchProves(t *testing.T) {
	begun := func(cluster, member, term uint64, revision int64) clientv3.WatchResponse {
		return headed(&pb.ResponseHeader{ClusterId: cluster, MemberId: member, RaftTerm: term, Revision: revision},
			clientv3.WatchResponse{Created: true})
	}
	for name, test := range map[string]struct {
		begun clientv3.WatchResponse
		reset bool
	}{
		"the member is where it was": {begun(1, 1, 2, 10), false},
		"the member has gone back":   {begun(1, 1, 2, 9), true},
		"its term has gone back":     {begun(1, 1, 1, 10), true},
		"another member is behind":   {begun(1, 2, 1, 9), false},
		"another cluster":            {begun(2, 1, 2, 10), true},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			s := newScript(test.begun, changed("k", 11))
			store := etcd.New(&fake{watch: s.watch, get: answeredAt(func() int64 { return 10 })})
			must(store.Get(t.Context(), kv.Key("k")))(t)
			running := read(t, store.Watch(within(t, patience), kv.Key("k"), 10))
			if test.reset {
				running.end(kv.ErrReset)
			} else {
				running.nextIs(11)
			}
		})
	}
}

func TestAnotherClusterAtTheSameAddressIsReported(t *testing.T) {
	onPlainAndNamespace(t, func(t *testing.T, cluster etcdmem.AnyCluster, client etcd.Client) {
		ctx := within(t, patience)
		store, other := etcd.New(client), etcd.New(client)
		rev := must(store.Put(ctx, "k", nil))(t)
		reading := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		watching := read(t, other.Watch(ctx, kv.Key("k"), rev-1))
		reading.batch()
		watching.batch()
		if err := cluster.Replace(ctx); err != nil {
			t.Fatal(err)
		}
		// A read by the Store shows it, although the new cluster has not reached the old revision.
		must(store.Get(ctx, kv.Key("other")))(t)
		reading.end(kv.ErrReset)
		// Without a read, the watch itself shows it once the new cluster has reached that revision.
		for got := kv.Revision(0); got <= rev; {
			got = must(store.Put(ctx, "k", nil))(t)
		}
		watching.end(kv.ErrReset)
	})
}

// Such a member has everything that was written, but it still names the old raft term.
func TestAMemberThatCaughtUpByASnapshotHasTheSameHistory(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 3, snapshotsSoon)
	if err := cluster.MoveLeader(ctx, 0); err != nil {
		t.Fatal(err)
	}
	client := cluster.Client(1, 2)
	store := etcd.New(client)
	cluster.Partition(0)
	must(cluster.WaitLeader(ctx))(t) // of a higher term, of which member 0 does not learn
	var rev kv.Revision
	for range 50 {
		rev = must(store.Put(ctx, "k", nil))(t)
	}
	cluster.Heal()
	must(cluster.WaitLeader(ctx))(t)
	r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
	r.batch()
	caughtUp := must(cluster.Client(0).Get(ctx, "k"))(t).Header
	current := must(client.Get(ctx, "k"))(t).Header
	t.Logf("member 0 names raft term %d, another member names %d", caughtUp.RaftTerm, current.RaftTerm)
	client.SetEndpoints(cluster.Endpoints(0)...)
	for range 10 {
		must(store.Get(ctx, kv.Key("k")))(t)
	}
	client.SetEndpoints(cluster.Endpoints()...)
	for range 10 {
		must(store.Get(ctx, kv.Key("k")))(t)
	}
	rev = must(store.Put(ctx, "k", nil))(t)
	r.nextIs(rev)
}

// snapshotsSoon makes members keep so little of raft's log that a member which misses entries catches up by a snapshot.
var snapshotsSoon = etcdtest.WithConfig(func(_ int, config *embed.Config) {
	config.SnapshotCount, config.SnapshotCatchUpEntries = 10, 5
})

func TestStoresOfTwoClustersAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := etcd.New(etcdmem.Start(t, 1, etcdmem.WithSeed(1)).Client()), etcd.New(etcdmem.Start(t, 1, etcdmem.WithSeed(2)).Client())
		rev := must(one.Put(t.Context(), "k", nil))(t)
		r := read(t, one.Watch(t.Context(), kv.Key("k"), rev))
		if other := must(two.Get(t.Context(), kv.All()))(t); other.Revision >= rev {
			t.Fatalf("the test itself: the other cluster is at revision %d, which would not be a reset after %d", other.Revision, rev)
		}
		rev = must(one.Put(t.Context(), "k", nil))(t)
		r.nextIs(rev)
	})
}

func TestWhatAnAnswerProves(t *testing.T) {
	type answer struct {
		cluster, member, term uint64
		revision              int64
	}
	for name, test := range map[string]struct {
		before, after answer
		reset         bool
	}{
		"the same":                 {answer{1, 1, 2, 10}, answer{1, 1, 2, 10}, false},
		"later":                    {answer{1, 1, 2, 10}, answer{1, 1, 3, 11}, false},
		"an older revision":        {answer{1, 1, 2, 10}, answer{1, 1, 2, 9}, true},
		"another's older revision": {answer{1, 1, 2, 10}, answer{1, 2, 2, 9}, true},
		"an older term":            {answer{1, 1, 3, 10}, answer{1, 1, 2, 11}, true},
		"another's older term":     {answer{1, 1, 3, 10}, answer{1, 2, 2, 11}, false}, // that member caught up by a snapshot
		"another cluster":          {answer{1, 1, 2, 10}, answer{2, 1, 2, 10}, true},
		"a nameless cluster":       {answer{1, 1, 2, 10}, answer{0, 1, 2, 10}, false},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			next := test.before
			s := newScript(progress(10))
			store := etcd.New(&fake{watch: s.watch, get: func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) {
				return &clientv3.GetResponse{Header: &pb.ResponseHeader{
					ClusterId: next.cluster, MemberId: next.member, RaftTerm: next.term, Revision: next.revision,
				}}, nil
			}})
			must(store.Get(t.Context(), kv.Key("k")))(t)
			next = test.after
			r := read(t, store.Watch(within(t, patience), kv.Key("k"), 10))
			r.pull() // the bookmark: the stream runs
			must(store.Get(t.Context(), kv.Key("k")))(t)
			if test.reset {
				r.end(kv.ErrReset)
				return
			}
			s.say(changed("k", 20))
			r.batch()
		})
	}
}

// An answer that was on its way when the history was replaced may come from either history. So it proves nothing, and its entries are not
// returned.
func TestAnOvertakenAnswerIsRequestedAgain(t *testing.T) {
	leaktest.Check(t)
	answers := make(chan *pb.ResponseHeader)
	asked := make(chan struct{})
	store := etcd.New(&fake{get: func(context.Context, clientv3.Op) (*clientv3.GetResponse, error) {
		asked <- struct{}{}
		h := <-answers
		return &clientv3.GetResponse{Header: h, Kvs: []*mvccpb.KeyValue{{Key: []byte("k"), ModRevision: h.Revision}}}, nil
	}})
	get := func() chan kv.Snapshot {
		got := make(chan kv.Snapshot, 1)
		go func() { got <- must(store.Get(t.Context(), kv.Key("k")))(t) }()
		<-asked
		return got
	}
	header := func(cluster uint64, revision int64) *pb.ResponseHeader {
		return &pb.ResponseHeader{ClusterId: cluster, MemberId: 1, RaftTerm: 2, Revision: revision}
	}
	first := get()
	answers <- header(1, 10)
	<-first
	slow, quick := get(), get()
	answers <- header(2, 5) // one of the two requests receives it
	var late chan kv.Snapshot
	select {
	case got := <-slow:
		late = quick
		if got.Revision != 5 {
			t.Errorf("got revision %d, want 5", got.Revision)
		}
	case got := <-quick:
		late = slow
		if got.Revision != 5 {
			t.Errorf("got revision %d, want 5", got.Revision)
		}
	}
	answers <- header(1, 11) // of the old cluster
	<-asked
	answers <- header(2, 6)
	if got := <-late; got.Revision != 6 || got.Entries[0].ModRevision != 6 {
		t.Errorf("got %+v, want what the new cluster holds", got)
	}
}

func TestPagesOfTwoHistoriesAreNeverMixed(t *testing.T) {
	leaktest.Check(t)
	requests := 0
	store := etcd.New(&fake{get: func(_ context.Context, op clientv3.Op) (*clientv3.GetResponse, error) {
		requests++
		cluster := uint64(1)
		if requests > 1 {
			cluster = 2
		}
		return &clientv3.GetResponse{
			Header: &pb.ResponseHeader{ClusterId: cluster, Revision: 10},
			Kvs:    []*mvccpb.KeyValue{{Key: op.KeyBytes(), ModRevision: int64(cluster)}},
			More:   requests%2 == 1,
		}, nil
	}}, etcd.WithPageSize(1))
	for _, e := range must(store.Get(t.Context(), kv.Prefix("k")))(t).Entries {
		if e.ModRevision != 2 {
			t.Errorf("the entries of the new cluster include one of the old cluster: %+v", e)
		}
	}
}
