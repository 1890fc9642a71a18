package etcdmem_test

import (
	"context"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/scenarios"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

var allReal = flag.Bool("real", false, "play all scenarios on a real cluster too, which takes minutes")

func TestMain(m *testing.M) {
	etcdtest.RunMember()
	os.Exit(m.Run())
}

func TestFaultsAreAnsweredLikeInEtcd(t *testing.T) {
	for _, s := range scenarios.All {
		t.Run(s.Name, func(t *testing.T) {
			seeds := uint64(5)
			if testing.Short() {
				seeds = 1
			}
			for seed := range seeds {
				synctest.Test(t, func(t *testing.T) {
					cluster := etcdmem.Start(t, 3, etcdmem.WithSeed(seed), etcdmem.WithTimes(scenarios.Heartbeat, scenarios.Election))
					w := newWorld(t, etcdmem.Any(cluster))
					defer w.close()
					time.Sleep(time.Duration(seed) * 7 * time.Millisecond) // so that the faults come at another moment of the members' clocks
					for _, a := range s.Play(t, w) {
						a.Check(t, 0)
					}
				})
				if t.Failed() {
					t.Fatalf("with the seed %d", seed)
				}
			}
		})
	}
}

// On a busy machine an election takes longer than the table has it. What is asked after the election is not asked before its end.
func TestALongElectionIsNotAWrongAnswer(t *testing.T) {
	for _, s := range scenarios.All {
		s.Calls = slices.DeleteFunc(slices.Clone(s.Calls), func(e scenarios.Expectation) bool { return !e.Led() })
		if len(s.Calls) == 0 {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			for seed := range uint64(10) {
				synctest.Test(t, func(t *testing.T) {
					cluster := etcdmem.Start(t, 3, etcdmem.WithSeed(seed), etcdmem.WithTimes(scenarios.Heartbeat, 4*scenarios.Election))
					w := newWorld(t, etcdmem.Any(cluster))
					defer w.close()
					for _, a := range s.Play(t, w) {
						a.CheckText(t)
					}
				})
			}
		})
	}
}

// Real members give the same answers as members in memory, and at the same times. The test takes minutes, and needs an idle machine.
func TestRealMembersAnswerFaultsLikeMembersInMemory(t *testing.T) {
	if !*allReal {
		t.Skip("without -real")
	}
	leaktest.Check(t)
	w := newWorld(t, etcdmem.Any(etcdtest.Start(t, 3, etcdtest.WithProcesses())))
	defer w.close()
	for _, s := range scenarios.All {
		t.Run(s.Name, func(t *testing.T) {
			w.heal()
			for _, a := range s.Play(t, w) {
				t.Log(a.String())
				a.Check(t, 2*time.Second)
			}
		})
	}
}

// This test skips what depends on an election, and does not check times. The election timeout is so long that no member stands for election
// only because the machine is busy.
func TestRealMembersAnswerFaultsWithoutAnElectionLikeMembersInMemory(t *testing.T) {
	leaktest.Check(t)
	patient := etcdtest.WithConfig(func(_ int, cfg *embed.Config) { cfg.ElectionMs = 5000 })
	w := newWorld(t, etcdmem.Any(etcdtest.Start(t, 3, patient)))
	defer w.close()
	for _, s := range scenarios.All {
		if !s.Short || testing.Short() && len(s.Faults) > 0 {
			continue
		}
		s.Calls = slices.DeleteFunc(slices.Clone(s.Calls), func(e scenarios.Expectation) bool { return !e.Soon() })
		t.Run(s.Name, func(t *testing.T) {
			w.heal()
			for _, a := range s.Play(t, w) {
				a.CheckText(t)
			}
		})
	}
}

// world is a cluster of either kind with a connection to each member. The connections are not etcd's clients, which would retry.
type world struct {
	t       *testing.T
	cluster etcdmem.AnyCluster
	conns   []*grpc.ClientConn
}

func newWorld(t *testing.T, cluster etcdmem.AnyCluster) *world {
	w := &world{t: t, cluster: cluster}
	for i, endpoint := range cluster.Endpoints() {
		options := append(cluster.ClientConfig(i).DialOptions, grpc.WithTransportCredentials(insecure.NewCredentials()))
		conn, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(endpoint, "http://"), options...)
		if err != nil {
			t.Fatal(err)
		}
		w.conns = append(w.conns, conn)
	}
	w.connect()
	return w
}

func (w *world) close() {
	for _, conn := range w.conns {
		conn.Close()
	}
}

// connect waits until all members serve.
func (w *world) connect() {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for i, conn := range w.conns {
		for {
			_, err := pb.NewKVClient(conn).Put(ctx, &pb.PutRequest{Key: []byte("ready")}, grpc.WaitForReady(true))
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				w.t.Fatalf("member %d does not serve: %v", i, err)
			}
		}
	}
}

// heal ends the faults that a scenario has left, and waits until all members serve.
func (w *world) heal() {
	w.must(w.cluster.Thaw())
	w.cluster.Heal()
	w.must(w.cluster.Restart(w.t.Context()))
	w.Led()
	w.connect()
	time.Sleep(3 * scenarios.Heartbeat) // until the members have heard of each other as often as in a quiet cluster
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Led implements scenarios.World.
func (w *world) Led() int {
	l, err := w.cluster.WaitLeader(w.t.Context())
	w.must(err)
	return l
}

// Act implements scenarios.World.
func (w *world) Act(do scenarios.Action, to []int) {
	var err error
	switch do {
	case scenarios.Stop:
		w.cluster.Stop(to...)
	case scenarios.Restart:
		err = w.cluster.Restart(w.t.Context(), to...)
	case scenarios.Freeze:
		err = w.cluster.Freeze(to...)
	case scenarios.Thaw:
		err = w.cluster.Thaw(to...)
	case scenarios.Partition:
		w.cluster.Partition(to...)
	case scenarios.Heal:
		w.cluster.Heal()
	case scenarios.MoveTo:
		err = w.cluster.MoveLeader(w.t.Context(), to[0])
	}
	if err != nil {
		w.t.Errorf("%s %v: %v", do, to, err)
	}
}

// Call implements scenarios.World.
func (w *world) Call(ctx context.Context, what scenarios.Call, member int, opened func()) error {
	kv := pb.NewKVClient(w.conns[member])
	read := &pb.RangeRequest{Key: []byte("key"), Serializable: what != scenarios.Get}
	var err error
	switch what {
	case scenarios.Put:
		_, err = kv.Put(ctx, &pb.PutRequest{Key: []byte("key")})
	case scenarios.Strict:
		_, err = kv.Range(clientv3.WithRequireLeader(ctx), read)
	case scenarios.Watch:
		err = w.watch(clientv3.WithRequireLeader(ctx), member, opened)
	default:
		_, err = kv.Range(ctx, read)
	}
	return err
}

// watch watches until the stream ends.
func (w *world) watch(ctx context.Context, member int, opened func()) error {
	stream, err := pb.NewWatchClient(w.conns[member]).Watch(ctx)
	if err != nil {
		return err
	}
	create := &pb.WatchCreateRequest{Key: []byte("nobody writes this")}
	err = stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}})
	for {
		if err != nil {
			return err
		}
		var r *pb.WatchResponse
		if r, err = stream.Recv(); err == nil && r.Created {
			opened()
		}
	}
}
