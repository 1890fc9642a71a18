package property_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Some requests cannot be made with etcd's client, but with the gRPC API: fields that only servers use, numbers that no enumeration has, bytes
// that are no message.
func TestEtcdInMemoryAnswersAsEtcdToOddRequests(t *testing.T) {
	compareScenarios(t, oddRequests)
}

// noteAnswer notes a response without what names the member.
func (s *session) noteAnswer(what string, resp interface{ GetHeader() *pb.ResponseHeader }, err error) {
	if err != nil {
		s.noteError(what, err)
		return
	}
	if h := resp.GetHeader(); h != nil {
		h.ClusterId, h.MemberId, h.RaftTerm = 0, 0, 0
	}
	s.note("%s: %v", what, resp)
}

func withToken(ctx context.Context, token string) context.Context {
	return metadata.NewOutgoingContext(ctx, metadata.Pairs(rpctypes.TokenFieldNameGRPC, token))
}

// bytesCodec sends and receives bytes as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string                       { return "proto" }
func (bytesCodec) Marshal(m any) ([]byte, error)      { return *m.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, m any) error { *m.(*[]byte) = slices.Clone(data); return nil }

var oddRequests = map[string]func(s *session){
	"leases with any identity and any time": func(s *session) {
		ids := []int64{-1, -2, math.MinInt64, math.MaxInt64, 5, 1 << 62}
		for i, id := range ids {
			for _, ttl := range []int64{math.MinInt64, -1, 0, 1, 9_000_000_000, 9_000_000_001, math.MaxInt64}[i:] {
				resp, err := s.lease.LeaseGrant(s.ctx, &pb.LeaseGrantRequest{ID: id, TTL: ttl})
				s.noteAnswer(fmt.Sprint("lease ", id, " for ", ttl), resp, err)
			}
			_, err := s.kv.Put(s.ctx, &pb.PutRequest{Key: []byte(fmt.Sprint("k", i)), Lease: id})
			s.noteError(fmt.Sprint("put with lease ", id), err)
		}
		for _, id := range append(ids, 0, -3, math.MinInt64+1) {
			put, err := s.kv.Put(s.ctx, &pb.PutRequest{Key: []byte("k"), Lease: id})
			s.noteAnswer(fmt.Sprint("put with lease ", id), put, err)
			left, err := s.lease.LeaseTimeToLive(s.ctx, &pb.LeaseTimeToLiveRequest{ID: id, Keys: true})
			if err == nil {
				left.TTL = min(left.TTL, 0)
				slices.SortFunc(left.Keys, slices.Compare[[]byte])
			}
			s.noteAnswer(fmt.Sprint("time of ", id), left, err)
			alive, err := s.lease.LeaseKeepAlive(s.ctx)
			s.noteError("keep alive", err)
			alive.Send(&pb.LeaseKeepAliveRequest{ID: id})
			kept, err := alive.Recv()
			s.noteAnswer(fmt.Sprint("keep alive ", id), kept, err)
			alive.CloseSend()
			revoked, err := s.lease.LeaseRevoke(s.ctx, &pb.LeaseRevokeRequest{ID: id})
			s.noteAnswer(fmt.Sprint("revoke ", id), revoked, err)
		}
		all, err := s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}})
		s.noteAnswer("all", all, err)
	},
	"ranges with numbers that are none": func(s *session) {
		for i := range 5 {
			s.put(numbered(i%3), fmt.Sprint(i))
		}
		for _, limit := range []int64{math.MinInt64, -1, 1, math.MaxInt64, math.MaxInt64 - 1} {
			for _, order := range []int32{0, 2} {
				resp, err := s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), Limit: limit, SortOrder: pb.RangeRequest_SortOrder(order)})
				s.noteAnswer(fmt.Sprint("limit ", limit, " order ", order), resp, err)
			}
		}
		for _, n := range []int32{-1, 3, 5, math.MinInt32, math.MaxInt32} {
			resp, err := s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k"), SortOrder: pb.RangeRequest_SortOrder(n)})
			s.noteAnswer(fmt.Sprint("order ", n), resp, err)
			resp, err = s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k"), SortTarget: pb.RangeRequest_SortTarget(n)})
			s.noteAnswer(fmt.Sprint("target ", n), resp, err)
			txn, err := s.kv.Txn(s.ctx, &pb.TxnRequest{Compare: []*pb.Compare{{Key: []byte("k"), Target: pb.Compare_CompareTarget(n), Result: pb.Compare_CompareResult(n)}}})
			s.noteAnswer(fmt.Sprint("compare ", n), txn, err)
		}
		for _, revision := range []int64{math.MinInt64, math.MaxInt64, -1} {
			resp, err := s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), Revision: revision})
			s.noteAnswer(fmt.Sprint("revision ", revision), resp, err)
			resp, err = s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), MinModRevision: revision, MaxCreateRevision: -revision})
			s.noteAnswer(fmt.Sprint("since ", revision), resp, err)
			compacted, err := s.kv.Compact(s.ctx, &pb.CompactionRequest{Revision: revision})
			s.noteAnswer(fmt.Sprint("compaction ", revision), compacted, err)
		}
		nested := func(depth int) *pb.TxnRequest {
			r := new(pb.TxnRequest)
			for range depth {
				r = &pb.TxnRequest{Success: []*pb.RequestOp{inTxn(r)}}
			}
			return r
		}
		for _, depth := range []int{1, 127, 128, 129, 200} {
			_, err := s.kv.Txn(s.ctx, nested(depth))
			s.noteError(fmt.Sprint(depth, " transactions in one another"), err)
		}
	},
	"alarms of no kind": func(s *session) {
		for _, kind := range []int32{3, -1, 9} {
			for _, action := range []pb.AlarmRequest_AlarmAction{pb.AlarmRequest_GET, pb.AlarmRequest_ACTIVATE, pb.AlarmRequest_GET, pb.AlarmRequest_DEACTIVATE, pb.AlarmRequest_DEACTIVATE} {
				resp, err := s.maintenance.Alarm(s.ctx, &pb.AlarmRequest{Action: action, Alarm: pb.AlarmType(kind), MemberID: 7})
				s.noteAnswer(fmt.Sprint("alarm ", kind, " ", action), resp, err)
				status, err := s.maintenance.Status(s.ctx, new(pb.StatusRequest))
				s.noteError(fmt.Sprint(status.GetErrors()), err)
				_, err = s.kv.Put(s.ctx, &pb.PutRequest{Key: []byte("k")})
				s.noteError("put", err)
			}
		}
	},
	"watches with any identity, and messages that request nothing": func(s *session) {
		stream := s.begin(&pb.WatchCreateRequest{Key: []byte("k"), WatchId: -1})
		for _, id := range []int64{-1, -2, math.MinInt64, math.MaxInt64, 0, 0, 1} {
			s.send(stream, &pb.WatchCreateRequest{Key: []byte("k"), WatchId: id, Filters: []pb.WatchCreateRequest_FilterType{5, -1}})
			s.receive(stream)
		}
		stream.Send(new(pb.WatchRequest))
		stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: 77}}})
		stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: new(pb.WatchCancelRequest)}})
		s.receive(stream) // this is for watch 0
		stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: new(pb.WatchProgressRequest)}})
		s.receive(stream)
		s.send(stream, new(pb.WatchCreateRequest))
		s.receive(stream)
		for _, id := range []int64{-2, math.MinInt64, math.MaxInt64, 1, -1} {
			stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}})
			s.receive(stream)
		}
		s.send(stream, &pb.WatchCreateRequest{Key: []byte("k"), WatchId: -1})
		s.receive(stream)
		s.put("k", "v")
		s.receive(stream)
	},
	"passwords that are hashed already": func(s *session) {
		root := func(name string) {
			s.auth.UserAdd(s.ctx, &pb.AuthUserAddRequest{Name: name, Password: "pw"})
			s.auth.UserGrantRole(s.ctx, &pb.AuthUserGrantRoleRequest{User: name, Role: "root"})
		}
		root("root")
		hash := base64.StdEncoding.EncodeToString([]byte("$2a$04$" + strings.Repeat("x", 53)))
		var names []string
		for i, r := range []*pb.AuthUserAddRequest{
			{Password: "a"}, {Password: "a", HashedPassword: hash}, {HashedPassword: hash}, {HashedPassword: "no base64!"}, {Password: "a", HashedPassword: "no base64!"},
			{Options: &authpb.UserAddOptions{NoPassword: true}, HashedPassword: "no base64!", Password: "a"}, {Options: new(authpb.UserAddOptions), Password: "a"},
		} {
			r.Name = fmt.Sprint("user ", i)
			names = append(names, r.Name)
			resp, err := s.auth.UserAdd(s.ctx, r)
			s.noteAnswer(r.Name, resp, err)
		}
		s.auth.AuthEnable(s.ctx, new(pb.AuthEnableRequest))
		check := func(what string) {
			for _, name := range names {
				for _, password := range []string{"", "a", "b"} {
					_, err := s.auth.Authenticate(s.ctx, &pb.AuthenticateRequest{Name: name, Password: password})
					s.noteError(fmt.Sprintf("%s: %s with %q", what, name, password), err)
				}
			}
		}
		check("new")
		for _, r := range []*pb.AuthUserChangePasswordRequest{
			{HashedPassword: "no base64!"}, {HashedPassword: "no base64!", Password: "b"}, {HashedPassword: hash, Password: "a"}, {HashedPassword: hash}, {},
		} {
			token, err := s.auth.Authenticate(s.ctx, &pb.AuthenticateRequest{Name: "root", Password: "pw"})
			s.noteError("root", err)
			ctx := withToken(s.ctx, token.GetToken())
			for _, name := range append(names, "none") {
				_, err := s.auth.UserChangePassword(ctx, &pb.AuthUserChangePasswordRequest{Name: name, Password: r.Password, HashedPassword: r.HashedPassword})
				s.noteError(fmt.Sprint(name, " gets ", r), err)
			}
			check(fmt.Sprint(r))
		}
	},
	"permissions of no kind": func(s *session) {
		s.auth.RoleAdd(s.ctx, &pb.AuthRoleAddRequest{Name: "r"})
		for i, kind := range []int32{-1, 3, 9} {
			_, err := s.auth.RoleGrantPermission(s.ctx, &pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: &authpb.Permission{PermType: authpb.Permission_Type(kind), Key: []byte{'a' + byte(i)}}})
			s.noteError(fmt.Sprint("permission ", kind), err)
		}
		resp, err := s.auth.RoleGet(s.ctx, &pb.AuthRoleGetRequest{Role: "r"})
		s.noteAnswer("role", resp, err)
		s.auth.UserAdd(s.ctx, &pb.AuthUserAddRequest{Name: "root", Password: "pw"})
		s.auth.UserGrantRole(s.ctx, &pb.AuthUserGrantRoleRequest{User: "root", Role: "root"})
		s.auth.UserAdd(s.ctx, &pb.AuthUserAddRequest{Name: "u", Password: "pw"})
		s.auth.UserGrantRole(s.ctx, &pb.AuthUserGrantRoleRequest{User: "u", Role: "r"})
		s.auth.AuthEnable(s.ctx, new(pb.AuthEnableRequest))
		token, err := s.auth.Authenticate(s.ctx, &pb.AuthenticateRequest{Name: "u", Password: "pw"})
		s.noteError("authenticate", err)
		ctx := withToken(s.ctx, token.GetToken())
		for _, key := range []string{"a", "b", "c", "d"} {
			_, err := s.kv.Range(ctx, &pb.RangeRequest{Key: []byte(key)})
			s.noteError("read "+key, err)
			_, err = s.kv.Put(ctx, &pb.PutRequest{Key: []byte(key)})
			s.noteError("put "+key, err)
		}
	},
	"bytes that are no message, and methods that there are not": func(s *session) {
		put := []byte{10, 1, 'k', 18, 1, 'v'}
		for name, bytes := range map[string][]byte{
			"a put": put, "nothing": {}, "an unknown field": append(slices.Clone(put), 0xf8, 0x07, 1), "an unknown group": append(slices.Clone(put), 0xfb, 0x07, 0xfc, 0x07),
			"a cut field": put[:4], "a key of another type": {8, 1}, "a field without a number": {0, 1}, "an endless number": {16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
			"two keys": append(slices.Clone(put), 10, 1, 'x'), "a long bool": append(slices.Clone(put), 32, 7),
		} {
			for _, method := range []string{"/etcdserverpb.KV/Put", "/etcdserverpb.KV/Range", "/etcdserverpb.KV/None", "/etcdserverpb.None/Put", "/etcdserverpb.Lease/LeaseGrant"} {
				if method == "/etcdserverpb.Lease/LeaseGrant" && len(bytes) == 0 {
					continue // etcd chooses the identity
				}
				var resp []byte
				err := s.conn.Invoke(s.ctx, method, &bytes, &resp, grpc.ForceCodec(bytesCodec{}))
				s.noteError(name+" to "+method, err)
			}
		}
		slices.Sort(s.notes) // the order above is that of a map
	},
}
