package property_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// These programs change users, roles and permissions at random. Concurrently, users read, write and watch, with current and old tokens.
// etcd takes long to check a password, so there are few programs, and each has many steps.
func TestEtcdInMemoryAllowsWhatEtcdAllows(t *testing.T) {
	programs := make(map[string]func(*session))
	for seed := range uint64(8) {
		programs[fmt.Sprint("seed ", seed)] = func(s *session) {
			u := &users{session: s, random: rand.New(rand.NewPCG(seed, 0)), tokens: make(map[string]string)}
			u.begin()
			for range 250 {
				u.step()
			}
		}
	}
	compareScenarios(t, programs)
}

// users are a scenario with users.
type users struct {
	*session
	random *rand.Rand
	tokens map[string]string // the newest token of each user
	steps  int
}

// begin enables auth. alice may read and write some keys, and bob may do nothing yet.
func (u *users) begin() {
	ctx := u.ctx
	u.auth.UserAdd(ctx, &pb.AuthUserAddRequest{Name: "root", Password: "pw"})
	u.auth.UserGrantRole(ctx, &pb.AuthUserGrantRoleRequest{User: "root", Role: "root"})
	for _, name := range []string{"alice", "bob"} {
		u.auth.UserAdd(ctx, &pb.AuthUserAddRequest{Name: name, Password: "pw"})
		u.auth.RoleAdd(ctx, &pb.AuthRoleAddRequest{Name: name})
		u.auth.UserGrantRole(ctx, &pb.AuthUserGrantRoleRequest{User: name, Role: name})
	}
	u.auth.RoleGrantPermission(ctx, &pb.AuthRoleGrantPermissionRequest{Name: "alice", Perm: &authpb.Permission{
		PermType: authpb.READWRITE, Key: []byte("a"), RangeEnd: []byte("c"),
	}})
	u.auth.AuthEnable(ctx, new(pb.AuthEnableRequest))
	for _, name := range []string{"root", "alice", "bob"} {
		u.authenticate(name, "pw")
	}
}

func (u *users) authenticate(name, password string) {
	resp, err := u.auth.Authenticate(u.ctx, &pb.AuthenticateRequest{Name: name, Password: password})
	if u.noteError(fmt.Sprintf("%d authenticate %s %s", u.steps, name, password), err); err == nil {
		u.tokens[name] = resp.Token
	}
}

// as returns a context for a call with a user's token.
func (u *users) as(name string) context.Context {
	switch token := u.tokens[name]; {
	case name == "nobody":
		return u.ctx
	case token == "":
		return metadata.NewOutgoingContext(u.ctx, metadata.Pairs(rpctypes.TokenFieldNameGRPC, "no.1"))
	default:
		return metadata.NewOutgoingContext(u.ctx, metadata.Pairs(rpctypes.TokenFieldNameGRPC, token))
	}
}

func (u *users) one(of ...string) string { return of[u.random.IntN(len(of))] }

func (u *users) step() {
	u.steps++
	who := u.one("root", "root", "alice", "alice", "bob", "bob", "nobody", "carol")
	ctx := u.as(who)
	var what any
	var resp interface{ GetHeader() *pb.ResponseHeader }
	var err error
	key, end := []byte(u.one("a", "b", "ab", "c", "d")), []byte(u.one("", "", "b", "c", "d", "\x00", "a"))
	name, role := u.one("alice", "bob", "carol", "root"), u.one("alice", "bob", "r", "root")
	if len(end) > 0 && end[0] != 0 && string(end) <= string(key) {
		end = nil // the permission to read a range that can have no key depends on the shape of etcd's tree of permissions
	}
	lease := int64(1 + u.random.IntN(2))
	chance := func(n int) bool { return u.random.IntN(n) == 0 }
	switch n := u.random.IntN(60); {
	case n < 8:
		r := &pb.RangeRequest{Key: key, RangeEnd: end, Serializable: chance(2)}
		what = r
		resp, err = u.kv.Range(ctx, r)
	case n < 16:
		r := &pb.PutRequest{Key: key, PrevKv: chance(2)}
		if chance(3) {
			r.Lease = lease
		}
		what = r
		resp, err = u.kv.Put(ctx, r)
	case n < 19:
		r := &pb.DeleteRangeRequest{Key: key, RangeEnd: end, PrevKv: chance(2)}
		what = r
		resp, err = u.kv.DeleteRange(ctx, r)
	case n < 22:
		inner := &pb.TxnRequest{Compare: []*pb.Compare{{Key: key, RangeEnd: end}}, Failure: puts(1, func(int) string { return u.one("a", "d") })}
		r := &pb.TxnRequest{Success: []*pb.RequestOp{inTxn(inner)}}
		if chance(2) {
			r = &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key, RangeEnd: end}}}}}
		}
		what = r
		resp, err = u.kv.Txn(ctx, r)
	case n < 24:
		u.watchOnce(ctx, who, key, end)
		return
	case n < 26:
		r := &pb.LeaseGrantRequest{ID: lease, TTL: 1000}
		what = r
		resp, err = u.lease.LeaseGrant(ctx, r)
	case n < 28:
		r := &pb.LeaseRevokeRequest{ID: lease}
		what = r
		resp, err = u.lease.LeaseRevoke(ctx, r)
	case n < 30:
		r := &pb.LeaseTimeToLiveRequest{ID: lease, Keys: chance(2)}
		what = r
		answer, e := u.lease.LeaseTimeToLive(ctx, r)
		if e == nil {
			answer.TTL, answer.Keys = min(answer.TTL, 1), nil
		}
		resp, err = answer, e
	case n < 31:
		what = "list of leases"
		answer, e := u.lease.LeaseLeases(ctx, new(pb.LeaseLeasesRequest))
		if e == nil {
			answer.Leases = nil
		}
		resp, err = answer, e
	case n < 32:
		what = "keep alive"
		stream, e := u.lease.LeaseKeepAlive(ctx)
		if e != nil {
			err = e
			break
		}
		stream.Send(&pb.LeaseKeepAliveRequest{ID: lease})
		resp, err = stream.Recv()
		stream.CloseSend()
	case n < 33:
		what = "compaction"
		resp, err = u.kv.Compact(ctx, &pb.CompactionRequest{Revision: 1 << 40})
	case n < 34:
		what = "members"
		_, err = u.cluster.MemberList(ctx, new(pb.MemberListRequest))
	case n < 35:
		what = "alarms"
		resp, err = u.maintenance.Alarm(ctx, new(pb.AlarmRequest))
	case n < 36:
		what = "status and more"
		_, err = u.maintenance.Status(ctx, new(pb.StatusRequest))
		u.noteError("status", err)
		_, err = u.maintenance.HashKV(ctx, new(pb.HashKVRequest))
		u.noteError("hash", err)
		_, err = u.maintenance.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, Alarm: pb.AlarmType_NOSPACE})
	case n < 39:
		u.authenticate(name, u.one("pw", "pw", "pw", "other", ""))
		return
	case n < 40:
		r := &pb.AuthUserAddRequest{Name: u.one("carol", "", "alice"), Password: "pw", Options: &authpb.UserAddOptions{NoPassword: chance(2)}}
		what = r.Name
		resp, err = u.auth.UserAdd(ctx, r)
	case n < 41:
		what = "delete " + name
		resp, err = u.auth.UserDelete(ctx, &pb.AuthUserDeleteRequest{Name: name})
	case n < 42:
		what = "password of " + name
		resp, err = u.auth.UserChangePassword(ctx, &pb.AuthUserChangePasswordRequest{Name: name, Password: u.one("pw", "pw", "other", "")})
	case n < 45:
		r := &pb.AuthUserGrantRoleRequest{User: name, Role: role}
		what = r
		resp, err = u.auth.UserGrantRole(ctx, r)
	case n < 46:
		r := &pb.AuthUserRevokeRoleRequest{Name: name, Role: role}
		what = r
		resp, err = u.auth.UserRevokeRole(ctx, r)
	case n < 48:
		what = "get " + name
		resp, err = u.auth.UserGet(ctx, &pb.AuthUserGetRequest{Name: name})
	case n < 49:
		what = "list of users"
		resp, err = u.auth.UserList(ctx, new(pb.AuthUserListRequest))
	case n < 50:
		what = "role " + role
		resp, err = u.auth.RoleAdd(ctx, &pb.AuthRoleAddRequest{Name: u.one("r", role, "")})
	case n < 51:
		what = "delete role " + role
		resp, err = u.auth.RoleDelete(ctx, &pb.AuthRoleDeleteRequest{Role: role})
	case n < 53:
		what = "get role " + role
		resp, err = u.auth.RoleGet(ctx, &pb.AuthRoleGetRequest{Role: role})
	case n < 54:
		what = "list of roles"
		resp, err = u.auth.RoleList(ctx, new(pb.AuthRoleListRequest))
	case n < 57:
		r := &pb.AuthRoleGrantPermissionRequest{Name: role, Perm: &authpb.Permission{PermType: authpb.Permission_Type(u.random.IntN(3)), Key: key, RangeEnd: end}}
		if chance(20) {
			r.Perm = nil
		}
		what = r
		resp, err = u.auth.RoleGrantPermission(ctx, r)
	case n < 58:
		r := &pb.AuthRoleRevokePermissionRequest{Role: role, Key: key, RangeEnd: end}
		what = r
		resp, err = u.auth.RoleRevokePermission(ctx, r)
	case n < 59:
		what = "auth status"
		resp, err = u.auth.AuthStatus(ctx, new(pb.AuthStatusRequest))
	default:
		if what = "enable"; chance(4) {
			what = "disable"
			resp, err = u.auth.AuthDisable(ctx, new(pb.AuthDisableRequest))
		} else {
			resp, err = u.auth.AuthEnable(ctx, new(pb.AuthEnableRequest))
		}
	}
	u.note("%d %s asks: %v", u.steps, who, what)
	if err != nil || resp == nil {
		u.note("   %v: %s", status.Code(err), status.Convert(err).Message())
		return
	}
	if h := resp.GetHeader(); h != nil {
		h.ClusterId, h.MemberId, h.RaftTerm = 0, 0, 0
	}
	u.note("   %v", resp)
}

// watchOnce begins a watch, and ends it.
func (u *users) watchOnce(ctx context.Context, who string, key, end []byte) {
	u.note("%d %s watches %q to %q", u.steps, who, key, end)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := u.watch.Watch(ctx)
	if err != nil {
		u.noteError("watch", err)
		return
	}
	u.send(stream, &pb.WatchCreateRequest{Key: key, RangeEnd: end})
	u.receive(stream)
}
