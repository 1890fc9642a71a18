package etcdmem_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// The test also runs on real members.
func TestAMemberThatIsCutOffKeepsItsLeasesAndUsers(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { cutOff(t, etcdmem.Any(etcdmem.Start(t, 3))) })
	})
	t.Run("etcd", func(t *testing.T) {
		if testing.Short() {
			t.Skip("memory is enough for a short run")
		}
		leaktest.Check(t)
		cutOff(t, etcdmem.Any(etcdtest.Start(t, 3)))
	})
}

// A party is a user at some of the members.
type party struct {
	t      *testing.T
	name   string
	client *clientv3.Client
}

func cutOff(t *testing.T, cluster etcdmem.AnyCluster) {
	leader, err := cluster.WaitLeader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lone := (leader + 1) % 3
	prepare(t, cluster.Client())
	user := func(name string, members ...int) party {
		config := cluster.ClientConfig(members...)
		config.Username, config.Password = name, "secret"
		client, err := clientv3.New(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return party{t, name, client}
	}
	rootThere, rootHere, appThere, appHere := user("root", lone), user("root", leader), user("app", lone), user("app", leader)
	for _, p := range []party{appThere, appHere} {
		p.reads("before", nil)
		p.leases("before", 1, 2)
	}

	if _, err := rootThere.client.Get(t.Context(), "/k"); err != nil { // after which the member has applied everything
		t.Fatal(err)
	}
	cluster.Partition(lone)
	if waited, err := readWithToken(t, cluster, lone, leader); waited || !errors.Is(rpctypes.Error(err), rpctypes.ErrInvalidAuthToken) {
		t.Errorf("a member lacks only the change that made a token, which is used there: %v, it waited: %t; want that it refuses the token", err, waited)
	}
	change(t, rootHere.client)
	rootHere.leases("elsewhere", 1, 3)
	rootThere.leases("cut off", 1, 2)
	appHere.reads("elsewhere", rpctypes.ErrPermissionDenied)
	appThere.reads("cut off", nil)
	if waited, err := readWithToken(t, cluster, lone, leader); !waited {
		t.Errorf("a token that was made elsewhere is used at the member that is cut off: %v; want that it waits until it knows the token", err)
	}

	cluster.Heal()
	if _, err := rootThere.client.Get(t.Context(), "/k"); err != nil { // a linearizable read waits until the member has caught up
		t.Fatal(err)
	}
	rootThere.leases("after that", 1, 3)
	appThere.reads("after that", rpctypes.ErrPermissionDenied)
}

// prepare makes two leases and two users. The user app may read the keys of the second lease.
func prepare(t *testing.T, client *clientv3.Client) {
	t.Helper()
	ctx, auth := t.Context(), clientv3.NewAuth(client)
	leases := pb.NewLeaseClient(client.ActiveConnection())
	for id := range int64(2) {
		if _, err := leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id + 1, TTL: 600}); err != nil {
			t.Fatal(err)
		}
	}
	put(t, client, "/k", "v", clientv3.WithLease(2))
	_, role := auth.RoleAdd(ctx, "app")
	_, permission := auth.RoleGrantPermission(ctx, "app", "/", "0", clientv3.PermissionType(clientv3.PermReadWrite))
	_, user := auth.UserAdd(ctx, "app", "secret")
	_, grant := auth.UserGrantRole(ctx, "app", "app")
	if err := errors.Join(role, permission, user, grant); err != nil {
		t.Fatal(err)
	}
	enableAuth(t, client)
}

// change revokes the second lease and the permission of app, and makes a third lease.
func change(t *testing.T, root *clientv3.Client) {
	t.Helper()
	ctx := t.Context()
	_, revoke := root.Revoke(ctx, 2)
	_, grant := pb.NewLeaseClient(root.ActiveConnection()).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 3, TTL: 600})
	_, permission := root.RoleRevokePermission(ctx, "app", "/", "0")
	if err := errors.Join(revoke, grant, permission); err != nil {
		t.Fatal(err)
	}
}

// reads checks that a serializable read returns the error want, which may be nil.
func (p party) reads(when string, want error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	if _, err := p.client.Get(ctx, "/k", clientv3.WithSerializable()); !errors.Is(err, want) {
		p.t.Errorf("%s: %s reads: %v, want %v", when, p.name, err, want)
	}
}

// leases checks that the members list these leases.
func (p party) leases(when string, want ...clientv3.LeaseID) {
	p.t.Helper()
	r, err := p.client.Leases(p.t.Context())
	if err != nil {
		p.t.Errorf("%s: %s lists leases: %v", when, p.name, err)
		return
	}
	var got []clientv3.LeaseID
	for _, l := range r.Leases {
		got = append(got, l.ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		p.t.Errorf("%s: %s sees the leases %v, want %v", when, p.name, got, want)
	}
}

// readWithToken reads at one member with a token that another one has just made, and reports whether the member waited until it was too late.
// Then either it refuses the token, or the client gives up first.
func readWithToken(t *testing.T, cluster etcdmem.AnyCluster, at, from int) (waited bool, err error) {
	t.Helper()
	const patience = time.Second
	ctx := metadata.AppendToOutgoingContext(t.Context(), rpctypes.TokenFieldNameGRPC, token(t, cluster, "app", from))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	_, err = pb.NewKVClient(connect(t, cluster, at)).Range(ctx, &pb.RangeRequest{Key: []byte("/k"), Serializable: true})
	return time.Since(began) >= patience-time.Millisecond, err // of which the context's time began a little before
}
