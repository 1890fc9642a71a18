package etcdmem_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/ordering"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// The other packages of etcd's client module work on etcd in memory, in a bubble.

func TestASessionThatIsNotKeptAliveLosesItsLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		cluster := etcdmem.Start(t, 3)
		leader, _ := cluster.Leader()
		lone, others := cluster.Client((leader+1)%3), cluster.Client(leader, (leader+2)%3)
		session := func(client *clientv3.Client) *concurrency.Session {
			s, err := concurrency.NewSession(client, concurrency.WithTTL(10))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		holder, waiter := session(lone), session(others)
		defer holder.Orphan()
		defer waiter.Close()
		if err := concurrency.NewMutex(holder, "/lock/").Lock(ctx); err != nil {
			t.Fatal(err)
		}
		mutex := concurrency.NewMutex(waiter, "/lock/")
		if err := mutex.TryLock(ctx); !errors.Is(err, concurrency.ErrLocked) {
			t.Errorf("a lock that another client holds was taken: %v", err)
		}
		cluster.Network().Swallow((leader + 1) % 3) // so that nothing keeps the holder's lease alive
		began := time.Now()
		if err := mutex.Lock(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 6*time.Second || took > 11*time.Second {
			t.Errorf("the lock was passed on after %v, want the rest of 10 s", took)
		}
		<-holder.Done() // the holder has noticed the loss too
	})
}

func TestAnElectionIsWonByTheNextCandidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		cluster := etcdmem.Start(t, 3)
		var elections []*concurrency.Election
		for i := range 2 {
			s, err := concurrency.NewSession(cluster.Client(i))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			elections = append(elections, concurrency.NewElection(s, "/leader"))
		}
		observed := elections[1].Observe(ctx)
		if err := elections[0].Campaign(ctx, "first"); err != nil {
			t.Fatal(err)
		}
		if r := <-observed; string(r.Kvs[0].Value) != "first" {
			t.Errorf("the leader is %s", r.Kvs[0].Value)
		}
		if err := elections[0].Resign(ctx); err != nil {
			t.Fatal(err)
		}
		if err := elections[1].Campaign(ctx, "second"); err != nil {
			t.Fatal(err)
		}
		if r := <-observed; string(r.Kvs[0].Value) != "second" {
			t.Errorf("the leader is %s", r.Kvs[0].Value)
		}
	})
}

func TestTransactionsInMemoryAreIsolated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := etcdmem.Start(t, 1).Client()
		const n = 20
		errs := make(chan error)
		for range n {
			go func() {
				_, err := concurrency.NewSTM(client, func(stm concurrency.STM) error {
					var have int
					fmt.Sscan(stm.Get("/count"), &have)
					stm.Put("/count", fmt.Sprint(have+1))
					return nil
				})
				errs <- err
			}()
		}
		for range n {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if r, err := client.Get(t.Context(), "/count"); err != nil || string(r.Kvs[0].Value) != fmt.Sprint(n) {
			t.Errorf("%d transactions each add one: %v, %v", n, r, err)
		}
	})
}

func TestALeasedKeyIsGivenUpForAWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		cluster := etcdmem.Start(t, 1)
		kv, closeKV, err := leasing.NewKV(cluster.Client(), "/leasing/")
		if err != nil {
			t.Fatal(err)
		}
		defer closeKV()
		other, closeOther, err := leasing.NewKV(cluster.Client(), "/leasing/")
		if err != nil {
			t.Fatal(err)
		}
		defer closeOther()
		for i := range 3 {
			want := fmt.Sprint(i)
			if _, err := other.Put(ctx, "/a", want); err != nil {
				t.Fatal(err)
			}
			if r, err := kv.Get(ctx, "/a"); err != nil || string(r.Kvs[0].Value) != want {
				t.Errorf("a leased key is %v, %v, want %s", r, err, want)
			}
		}
	})
}

func TestAMirrorAndTheEndpointsOfAServiceAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		client := etcdmem.Start(t, 1).Client()
		for i := range 1100 { // more keys than a mirror reads at once
			put(t, client, fmt.Sprintf("/m/%04d", i), "v")
		}
		syncer := mirror.NewSyncer(client, "/m/", 0)
		responses, errs := syncer.SyncBase(ctx)
		n := 0
		for r := range responses {
			n += len(r.Kvs)
		}
		if err := <-errs; err != nil || n != 1100 {
			t.Errorf("a mirror reads %d keys, %v", n, err)
		}
		updates := syncer.SyncUpdates(ctx)
		put(t, client, "/m/new", "v")
		if r := <-updates; len(r.Events) != 1 || string(r.Events[0].Kv.Key) != "/m/new" {
			t.Errorf("a mirror gets %+v", r)
		}

		manager, err := endpoints.NewManager(client, "/service")
		if err != nil {
			t.Fatal(err)
		}
		changes, err := manager.NewWatchChannel(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := manager.AddEndpoint(ctx, "/service/one", endpoints.Endpoint{Addr: "one:1"}); err != nil {
			t.Fatal(err)
		}
		if c := <-changes; len(c) != 1 || c[0].Endpoint.Addr != "one:1" {
			t.Errorf("the endpoints of a service change by %+v", c)
		}
	})
}

func TestAStaleReadIsRefusedByAnOrderedClient(t *testing.T) {
	threeMembers(t, func(t *testing.T, cluster *etcdmem.Cluster, lone int, it, others *clientv3.Client) {
		ctx := t.Context()
		put(t, others, "/a", "1")
		client := cluster.Client((lone + 1) % 3)
		kv := ordering.NewKV(client, func(clientv3.Op, clientv3.OpResponse, int64) error { return ordering.ErrNoGreaterRev })
		cluster.Partition(lone)
		put(t, others, "/a", "2")
		if _, err := kv.Get(ctx, "/a"); err != nil {
			t.Fatal(err)
		}
		client.SetEndpoints(cluster.Endpoints(lone)...)
		if _, err := kv.Get(ctx, "/a", clientv3.WithSerializable()); !errors.Is(err, ordering.ErrNoGreaterRev) {
			t.Errorf("a read at a member that lags behind returns %v", err)
		}
		if _, err := it.Get(ctx, "/a"); !errors.Is(err, rpctypes.ErrTimeout) && !errors.Is(err, rpctypes.ErrLeaderChanged) {
			t.Errorf("a linearizable read at a partitioned member returns %v", err)
		}
	})
}
