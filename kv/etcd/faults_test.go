package etcd_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestACompactedPastIsSaidWithTheOldestRevisionKept(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 1)
	store := etcd.New(cluster.Client())
	first := must(store.Put(ctx, "k", nil))(t)
	must(store.Put(ctx, "k", nil))(t)
	deleted := must(store.Delete(ctx, "k"))(t)
	if err := cluster.Compact(ctx, int64(deleted)); err != nil {
		t.Fatal(err)
	}
	_, err := read(t, store.Watch(ctx, kv.Key("k"), first)).end(kv.ErrCompacted)
	var compacted *kv.CompactedError
	if !errors.As(err, &compacted) || compacted.Oldest != deleted {
		t.Errorf("%v, want %d as the oldest revision", err, deleted)
	}
	// The revision of the compaction itself is still there, even where it is a deletion.
	b := read(t, store.Watch(ctx, kv.Key("k"), deleted-1)).batch()
	if b.Revision != deleted || len(b.Events) != 1 || b.Events[0].Type != kv.EventDelete {
		t.Errorf("got %+v, want the deletion at %d", b, deleted)
	}
}

// A member that has missed more than the others keep is sent their state, not what led to it.
func TestAMemberThatCaughtUpByASnapshotEndsItsWatchesAsCompacted(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 3, snapshotsSoon, etcdtest.WithConfig(func(_ int, config *embed.Config) {
		config.ElectionMs = 3000 // so that a member is slow to notice that it is cut off
	}))
	if err := cluster.MoveLeader(ctx, 1); err != nil {
		t.Fatal(err)
	}
	store, others := etcd.New(cluster.Client(0)), etcd.New(cluster.Client(1, 2))
	rev := must(store.Put(ctx, "k", nil))(t)
	must(store.Put(ctx, "idle", nil))(t)
	r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
	idle := read(t, store.Watch(ctx, kv.Key("idle"), rev))
	r.batch()
	idle.batch()
	cluster.Partition(0)
	var last kv.Revision
	for range 30 {
		last = must(others.Put(ctx, "k", nil))(t)
	}
	if err := cluster.Compact(ctx, int64(last)); err != nil {
		t.Fatal(err)
	}
	cluster.Heal()
	for name, w := range map[string]*reader{"k": r, "idle": idle} { // the one has missed something, the other has not
		_, err := w.end(kv.ErrCompacted)
		var compacted *kv.CompactedError
		if !errors.As(err, &compacted) || compacted.Oldest != last {
			t.Errorf("%s: %v, want %d as the oldest revision", name, err, last)
		}
	}
	if got := read(t, store.Watch(ctx, kv.Key("k"), last-1)).batch().Revision; got != last {
		t.Errorf("got revision %d, want %d", got, last)
	}
}

// For an idle watch etcd's client remembers where it began, not how far it has heard that nothing happened.
func TestAnIdleWatchThatIsCutOffMayEndAsCompacted(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 1)
	store := etcd.New(cluster.Client())
	rev := must(store.Put(ctx, "k", nil))(t)
	idle := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
	idle.batch()
	must(store.Put(ctx, "other", nil))(t)
	last := must(store.Put(ctx, "other", nil))(t)
	if err := cluster.Compact(ctx, int64(last)); err != nil {
		t.Fatal(err)
	}
	cluster.Stop()
	if err := cluster.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := idle.end(kv.ErrCompacted)
	var compacted *kv.CompactedError
	if !errors.As(err, &compacted) || compacted.Oldest != last {
		t.Errorf("%v, want %d as the oldest revision", err, last)
	}
}

func TestAWatchInTheFutureWaits(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	store := etcd.New(etcdtest.Start(t, 1).Client())
	now := must(store.Put(ctx, "k", nil))(t)
	r := read(t, store.Watch(ctx, kv.Key("k"), now+3))
	endless, cancel := context.WithCancel(ctx)
	defer cancel()
	last := make(chan error, 1)
	go func() {
		for _, err := range store.Watch(endless, kv.Key("k"), math.MaxInt64) {
			last <- err
			return
		}
	}()
	for range 5 {
		must(store.Put(ctx, "k", nil))(t)
	}
	if b := r.batch(); b.Events[0].ModRevision != now+4 {
		t.Errorf("the first event is of revision %d, want %d", b.Events[0].ModRevision, now+4)
	}
	select {
	case err := <-last:
		t.Errorf("a watch after the last revision there can be yielded %v", err)
	default:
	}
	cancel()
	if err := <-last; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v, want %v", err, context.Canceled)
	}
}

func TestAMemberWithoutALeaderEndsItsWatches(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 3)
	if err := cluster.MoveLeader(ctx, 1); err != nil {
		t.Fatal(err)
	}
	store := etcd.New(cluster.Client(0))
	rev := must(store.Put(ctx, "k", nil))(t)
	r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
	r.batch()
	cluster.Partition(0)
	r.end(kv.ErrUnavailable)
	// The other side goes on, and after the heal a new watch brings what the old one missed.
	missed := must(etcd.New(cluster.Client(1, 2)).Put(ctx, "k", nil))(t)
	cluster.Heal()
	for got := kv.Revision(0); got < missed; {
		for b, err := range store.Watch(ctx, kv.Key("k"), rev) {
			if err != nil && !errors.Is(err, kv.ErrUnavailable) {
				t.Fatal(err)
			}
			if got = b.Revision; got >= missed {
				break
			}
		}
	}
}

func TestWithoutALeaderAWatchIsRefusedAndTheRestWaitsForItsContext(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 3)
	store := etcd.New(cluster.Client(0))
	rev := must(store.Put(ctx, "k", nil))(t)
	r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
	r.batch()
	cluster.Stop(1, 2)
	r.end(kv.ErrUnavailable)
	read(t, store.Watch(ctx, kv.Key("k"), rev)).end(kv.ErrUnavailable)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := make(chan error)
	go func() { _, err := store.Get(ctx, kv.Key("k")); ends <- err }()
	go func() { _, err := store.Put(ctx, "k", nil); ends <- err }()
	select {
	case err := <-ends:
		t.Fatalf("without a leader a call is answered: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	start := time.Now()
	cancel()
	for range 2 {
		if err := <-ends; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
	if took := time.Since(start); took > atOnce {
		t.Errorf("it took %v", took)
	}
}

// Such a member could answer from what it has, which is old.
func TestAMemberThatIsCutOffAnswersNothing(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 3)
	if err := cluster.MoveLeader(ctx, 1); err != nil {
		t.Fatal(err)
	}
	store := etcd.New(cluster.Client(0))
	first := must(store.Put(ctx, "k", nil))(t)
	watch := read(t, store.Watch(ctx, kv.Key("k"), first-1))
	watch.batch()
	cluster.Partition(0)
	rev := must(etcd.New(cluster.Client(1, 2)).Put(ctx, "k", nil))(t)
	type answer struct {
		what string
		rev  kv.Revision
		err  error
	}
	answers := make(chan answer)
	for _, r := range []kv.Range{kv.Key("k"), kv.Prefix("k"), kv.All()} {
		go func() {
			got, err := store.Get(ctx, r)
			answers <- answer{"get " + r.String(), got.Revision, err}
		}()
	}
	go func() {
		got, err := store.Commit(ctx)
		answers <- answer{"commit nothing", got, err}
	}()
	watch.end(kv.ErrUnavailable) // time enough to answer
	cluster.Heal()
	for range 4 {
		switch a := <-answers; {
		case a.err != nil:
			t.Errorf("%s: %v", a.what, a.err)
		case a.rev != rev:
			t.Errorf("%s: revision %d, want %d", a.what, a.rev, rev)
		}
	}
}

func TestAWatchOutlivesItsMember(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 3)
	// Not the one that stops: a member without a leader would end the watch that comes to it.
	if err := cluster.MoveLeader(ctx, 1); err != nil {
		t.Fatal(err)
	}
	client := cluster.Client(0)
	store := etcd.New(client)
	rev := must(store.Put(ctx, "k", nil))(t)
	r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
	r.batch()
	client.SetEndpoints(cluster.Endpoints()...)
	cluster.Stop(0)
	writer := etcd.New(cluster.Client(1, 2))
	if _, err := cluster.WaitLeader(ctx); err != nil {
		t.Fatal(err)
	}
	var want []kv.Revision
	for len(want) < 3 {
		want = append(want, must(writer.Put(ctx, "k", nil))(t))
	}
	for len(want) > 0 {
		for _, e := range r.batch().Events {
			if e.ModRevision != want[0] {
				t.Fatalf("got revision %d, want %d", e.ModRevision, want[0])
			}
			want = want[1:]
		}
	}
}

func TestAWatchOutlivesARestartOfItsCluster(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 1)
	store := etcd.New(cluster.Client())
	rev := must(store.Put(ctx, "k", nil))(t)
	r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
	r.batch()
	for range 3 {
		cluster.Stop()
		if err := cluster.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		rev = must(store.Put(ctx, "k", nil))(t)
		if got := r.batch().Revision; got != rev {
			t.Fatalf("got revision %d, want %d", got, rev)
		}
	}
}

// Nothing tells a client that no member is in reach: it is the context that ends a call then.
func TestCutOffFromEtcdAnEndedContextEndsEveryCallAtOnce(t *testing.T) {
	leaktest.Check(t)
	cluster := etcdtest.Start(t, 1)
	for name, client := range map[string]etcd.Client{
		"plain":     cluster.Client(),
		"namespace": namespaced(cluster.Client(), "/space/"),
	} {
		store := etcd.New(client)
		ctx, cancel := context.WithCancel(within(t, patience))
		rev := must(store.Put(ctx, "k", nil))(t)
		running := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		running.batch()
		broken := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		broken.batch()
		cluster.Stop()
		fresh := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		another := read(t, etcd.New(client).Watch(ctx, kv.Key("j"), 0))

		type ended struct {
			what string
			err  error
		}
		ends := make(chan ended)
		for what, r := range map[string]*reader{"a running watch": running, "a new watch": fresh, "another watch": another} {
			go func() {
				_, err, _ := r.pull()
				ends <- ended{what, err}
			}()
		}
		go func() {
			_, err := store.Get(ctx, kv.Key("k"))
			ends <- ended{"a get", err}
		}()
		go func() {
			_, err := store.Put(ctx, "k", nil)
			ends <- ended{"a put", err}
		}()
		start := time.Now()
		broken.stop()
		if took := time.Since(start); took > atOnce {
			t.Errorf("%s: breaking off a watch took %v", name, took)
		}
		start = time.Now()
		cancel()
		for range 5 {
			e := <-ends
			if took := time.Since(start); took > atOnce {
				t.Errorf("%s: %s ended after %v", name, e.what, took)
			}
			if !errors.Is(e.err, context.Canceled) && e.what != "a put" {
				t.Errorf("%s: %s ended with %v, want %v", name, e.what, e.err, context.Canceled)
			}
		}
		if err := cluster.Restart(within(t, patience)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNothingIsLeftOfAWatchThatWasBrokenOff(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 1)
	store := etcd.New(cluster.Client())
	rev := must(store.Put(ctx, "k", nil))(t)
	for range 10 {
		for range store.Watch(ctx, kv.Key("k"), rev-1) {
			break
		}
	}
	if err := cluster.WaitWatchers(ctx, 0, 0); err != nil {
		t.Error(err)
	}
}

func TestAClientThatIsClosedEndsEveryCall(t *testing.T) {
	for name, test := range map[string]struct {
		wrap    func(*clientv3.Client) etcd.Client
		running error // of a watch that was delivering
	}{
		"a whole client": {func(c *clientv3.Client) etcd.Client { return c }, kv.ErrClosed},
		// Its parts do not tell that they are closed, so a watch that ends so may have had another reason. The request
		// that a watch makes to find out may still be answered while they are being closed.
		"parts of one": {func(c *clientv3.Client) etcd.Client { return namespaced(c, "/space/") }, kv.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			ctx := within(t, patience)
			cfg := etcdtest.Start(t, 1).ClientConfig()
			cfg.MaxUnaryRetries = 5 // what is part of a client that is closed tries again as often
			client := must(clientv3.New(cfg))(t)
			store := etcd.New(test.wrap(client))
			rev := must(store.Put(ctx, "k", nil))(t)
			idle := read(t, store.Watch(ctx, kv.Key("k"), rev))
			ends := make(chan error)
			go func() {
				_, err, _ := idle.pull()
				ends <- err
			}()
			running := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
			running.batch()
			client.Close()
			running.end(test.running)
			if err := <-ends; !errors.Is(err, kv.ErrClosed) && !errors.Is(err, test.running) {
				t.Errorf("a watch that was waiting: %v, want %v or %v", err, kv.ErrClosed, test.running)
			}
			if _, err := store.Get(ctx, kv.Key("k")); !errors.Is(err, kv.ErrClosed) {
				t.Errorf("a get: %v, want %v", err, kv.ErrClosed)
			}
			if _, err := store.Put(ctx, "k", nil); !errors.Is(err, kv.ErrClosed) {
				t.Errorf("a put: %v, want %v", err, kv.ErrClosed)
			}
			read(t, store.Watch(ctx, kv.Key("k"), rev)).end(kv.ErrClosed)
		})
	}
}

func TestAClientThatIsClosedEndsAGetUnderWay(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 3)
	client := cluster.Client(0)
	must(etcd.New(client).Get(ctx, kv.Key("k")))(t)
	begun := make(chan struct{})
	store := etcd.New(&hookedClient{Client: client, beforeGet: func() { close(begun) }})
	cluster.Stop(1, 2) // member 0 is in reach, and has no answer
	got := make(chan error)
	go func() {
		_, err := store.Get(ctx, kv.Key("k"))
		got <- err
	}()
	<-begun
	start := time.Now()
	client.Close()
	err := <-got
	checkError(t, "the get", err, kv.ErrClosed, nil) // and not a cancellation, though that is how it is done
	if took := time.Since(start); took > atOnce {
		t.Errorf("it took %v", took)
	}
}

// etcd's client forgets a watch that is cancelled before the server has answered its request; the server does not.
func TestAWatchThatIsGivenUpWhileItBeginsIsNotLeftAtTheServer(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 1)
	store := etcd.New(cluster.Client())
	must(store.Get(ctx, kv.Key("k")))(t) // connected
	var watching sync.WaitGroup
	for i := range 200 {
		watching.Go(func() {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Duration(i)*20*time.Microsecond, cancel)
			for range store.Watch(ctx, kv.Key("k"), 1) {
			}
		})
	}
	watching.Wait()
	if err := cluster.WaitWatchers(ctx, 0, 0); err != nil {
		t.Error(err)
	}
}

// Of those that wait for their turn when they are given up, none must be asked for any more.
func TestManyWatchesThatAreGivenUpAtOnceAreNotLeftAtTheServer(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	cluster := etcdtest.Start(t, 1, etcdtest.WithConfig(func(_ int, config *embed.Config) {
		config.GRPCAdditionalServerOptions = append(config.GRPCAdditionalServerOptions,
			grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				return handler(srv, slowToBegin{stream})
			}))
	}))
	store := etcd.New(cluster.Client())
	rev := must(store.Put(ctx, "other", nil))(t)
	keeps := read(t, store.Watch(ctx, kv.Key("other"), rev-1)) // the client's stream from ending with the last of them
	keeps.batch()
	givenUp, giveUp := context.WithCancel(ctx)
	time.AfterFunc(time.Millisecond, giveUp)
	var watching sync.WaitGroup
	for range 100 {
		watching.Go(func() {
			for range store.Watch(givenUp, kv.Key("k"), 1) {
			}
		})
	}
	watching.Wait()
	if err := cluster.WaitWatchers(ctx, 0, 1); err != nil {
		t.Error(err)
	}
}

// slowToBegin takes its time to answer that a watch has begun.
type slowToBegin struct{ grpc.ServerStream }

func (s slowToBegin) SendMsg(m any) error {
	if r, ok := m.(*pb.WatchResponse); ok && r.Created {
		time.Sleep(20 * time.Millisecond)
	}
	return s.ServerStream.SendMsg(m)
}
