package members_test

import (
	"context"
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

var allReal = flag.Bool("real", false, "play all scenarios on a real cluster, which takes minutes")

func TestMain(m *testing.M) {
	etcdtest.RunMember()
	os.Exit(m.Run())
}

// What the simulated members are tested for is what real members do. Without -real only a few scenarios are played, and of them only
// what is answered soon.
func TestEachScenarioIsThatOfRealMembers(t *testing.T) {
	leaktest.Check(t)
	w := newReal(t)
	for _, s := range scenarios {
		if !*allReal {
			if !s.short || testing.Short() && len(s.faults) == 0 {
				continue
			}
			s.calls = slices.DeleteFunc(slices.Clone(s.calls), func(e expectation) bool { return e.after+e.max > 4*election })
		}
		t.Run(s.name, func(t *testing.T) {
			w.heal(t)
			for _, a := range play(t, w, s) {
				t.Logf("%s at %v, %v after the beginning: %q after %v", a.call, a.at, a.after, a.text, a.took.Round(time.Millisecond))
				a.check(t, 2*time.Second) // of a busy machine
			}
		})
	}
}

// real is a world of real members, each in a process.
type real struct {
	t       *testing.T
	cluster *etcdtest.Cluster
	conns   []*grpc.ClientConn // one to each member, without etcd's client, which would try again
}

func newReal(t *testing.T) *real {
	w := &real{t: t, cluster: etcdtest.Start(t, 3, etcdtest.WithProcesses())}
	for _, endpoint := range w.cluster.Endpoints() {
		conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		w.conns = append(w.conns, conn)
	}
	return w
}

// heal ends what a scenario has left, and has all members serve.
func (w *real) heal(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.cluster.Thaw(); err != nil {
		t.Fatal(err)
	}
	w.cluster.Heal()
	if err := w.cluster.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	w.leader()
	for i, conn := range w.conns { // which may have to connect again
		for {
			_, err := pb.NewKVClient(conn).Put(ctx, &pb.PutRequest{Key: []byte("ready")}, grpc.WaitForReady(true))
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("member %d does not serve: %v", i, err)
			}
		}
	}
	time.Sleep(3 * heartbeat) // until the members have heard of each other as often as in a quiet cluster
}

func (w *real) leader() int {
	l, err := w.cluster.WaitLeader(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *real) act(do action, to []int) {
	var err error
	switch do {
	case stop:
		w.cluster.Stop(to...)
	case restart:
		err = w.cluster.Restart(w.t.Context(), to...)
	case freeze:
		err = w.cluster.Freeze(to...)
	case thaw:
		err = w.cluster.Thaw(to...)
	case partition:
		w.cluster.Partition(to...)
	case heal:
		w.cluster.Heal()
	case moveTo:
		err = w.cluster.MoveLeader(w.t.Context(), to[0])
	}
	if err != nil {
		w.t.Errorf("%s %v: %v", do, to, err)
	}
}

func (w *real) call(ctx context.Context, what call, member int) error {
	kv := pb.NewKVClient(w.conns[member])
	read := &pb.RangeRequest{Key: []byte("key"), Serializable: what != get}
	var err error
	switch what {
	case put:
		_, err = kv.Put(ctx, &pb.PutRequest{Key: []byte("key")})
	case strict:
		_, err = kv.Range(clientv3.WithRequireLeader(ctx), read)
	case watch:
		err = w.watch(clientv3.WithRequireLeader(ctx), member)
	default:
		_, err = kv.Range(ctx, read)
	}
	return err
}

// watch watches until the stream ends.
func (w *real) watch(ctx context.Context, member int) error {
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
			close(ctx.Value(opened{}).(chan struct{}))
		}
	}
}
