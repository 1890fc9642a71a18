package etcdmem_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// A process has tokens and checksums that are not in its data. They come from the changes that the process applies, also when it catches up.
// The same is asked of real members.
func TestARestartedMemberDerivesStateFromTheChangesThatItApplies(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { restarted(t, etcdmem.Any(etcdmem.Start(t, 3))) })
	})
	t.Run("etcd", func(t *testing.T) {
		if testing.Short() {
			t.Skip("memory is enough for a short run")
		}
		leaktest.Check(t)
		restarted(t, etcdmem.Any(etcdtest.Start(t, 3)))
	})
}

func restarted(t *testing.T, cluster etcdmem.AnyCluster) {
	ctx := t.Context()
	leader, err := cluster.WaitLeader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	lone, up := (leader+1)%3, (leader+2)%3
	client := cluster.Client(up)
	compact := func() int64 {
		t.Helper()
		revision := put(t, client, "/k", "v")
		if err := cluster.Compact(ctx, revision); err != nil {
			t.Fatal(err)
		}
		return revision
	}
	first := compact()
	prepare(t, client)
	before := token(t, cluster, "root", up)
	// A linearizable read waits until the member has applied the token. Otherwise the member could apply it after the restart.
	asRoot := metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, before)
	if _, err := pb.NewKVClient(connect(t, cluster, lone)).Range(asRoot, &pb.RangeRequest{Key: []byte("/k")}); err != nil {
		t.Fatal(err)
	}
	cluster.Stop(lone)
	during := token(t, cluster, "root", up)
	root := metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, during)
	kv := pb.NewKVClient(connect(t, cluster, up))
	written, err := kv.Put(root, &pb.PutRequest{Key: []byte("/k")})
	if err != nil {
		t.Fatal(err)
	}
	second := written.Header.Revision
	if _, err := kv.Compact(root, &pb.CompactionRequest{Revision: second, Physical: true}); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Restart(ctx, lone); err != nil {
		t.Fatal(err)
	}

	for member, want := range map[int]map[string]error{
		up:   {before: nil, during: nil},
		lone: {before: rpctypes.ErrInvalidAuthToken, during: nil},
	} {
		kv := pb.NewKVClient(connect(t, cluster, member))
		for token, want := range want {
			ctx := metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, token)
			if _, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("/k")}); !errors.Is(rpctypes.Error(err), want) {
				t.Errorf("a token is used at member %d, after member %d was restarted: it was made before that: %t: %v, want %v", member, lone, token == before, err, want)
			}
		}
	}
	for member, want := range map[int]codes.Code{up: codes.OK, lone: codes.OutOfRange} {
		conn := connect(t, cluster, member)
		// A member compacts in the background. It answers a physical compaction when all its earlier compactions are done.
		if _, err := pb.NewKVClient(conn).Compact(root, &pb.CompactionRequest{Revision: second, Physical: true}); !errors.Is(rpctypes.Error(err), rpctypes.ErrCompacted) {
			t.Errorf("a second compaction at revision %d at member %d: %v", second, member, err)
		}
		maintenance := pb.NewMaintenanceClient(conn)
		if _, err := maintenance.HashKV(root, &pb.HashKVRequest{Revision: first}); status.Code(err) != want {
			t.Errorf("the checksum of a compaction before member %d was restarted is asked of member %d: %v, want %v", lone, member, err, want)
		}
		h, err := maintenance.HashKV(root, &pb.HashKVRequest{Revision: second})
		if err != nil || h.CompactRevision != first {
			t.Errorf("the checksum of a compaction while member %d was down is asked of member %d: %v, %v, want that it is since revision %d", lone, member, h, err, first)
		}
	}
}

// token returns a token of a user, made at a member.
func token(t *testing.T, cluster etcdmem.AnyCluster, user string, member int) string {
	t.Helper()
	r, err := pb.NewAuthClient(connect(t, cluster, member)).Authenticate(t.Context(), &pb.AuthenticateRequest{Name: user, Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return r.Token
}

// connect returns a connection to a member without etcd's client, which would replace a token that is refused.
func connect(t *testing.T, cluster etcdmem.AnyCluster, member int) *grpc.ClientConn {
	t.Helper()
	dial := grpc.WithContextDialer(func(ctx context.Context, _ string) (conn net.Conn, err error) {
		return cluster.Network().Dial(ctx, cluster.Endpoints(member)[0])
	})
	conn, err := grpc.NewClient("passthrough:///member", dial, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
