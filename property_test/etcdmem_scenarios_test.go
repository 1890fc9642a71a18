package property_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// Scenarios test what random programs do not reach: large things, things that take time, and things of the server as a whole. Each
// scenario runs on a new member of both kinds, and notes the answers.
func TestEtcdInMemoryAnswersAsEtcdInScenarios(t *testing.T) {
	compareScenarios(t, scenarios)
}

// compareScenarios runs scenarios on both kinds of member. They mostly wait, so some run concurrently.
func compareScenarios(t *testing.T, scenarios map[string]func(*session)) {
	leaktest.Check(t)
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, 4)
	for name, scenario := range scenarios {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			t.Run(name, func(t *testing.T) { compareScenario(t, scenario) })
		})
	}
}

func compareScenario(t *testing.T, scenario func(*session)) {
	var inMemory, onEtcd session
	synctest.Test(t, func(t *testing.T) {
		// The times of etcdtest's members.
		cluster := etcdmem.Start(t, 1, etcdmem.WithTimes(50*time.Millisecond, 500*time.Millisecond))
		inMemory.run(t, cluster.Network().Dial, cluster.Endpoints()[0], scenario)
	})
	cluster := etcdtest.Start(t, 1)
	onEtcd.run(t, cluster.Network().Dial, cluster.Endpoints()[0], scenario)
	if d := cmp.Diff(onEtcd.notes, inMemory.notes); d != "" {
		t.Errorf("answers, -on etcd +in memory:\n%s", d)
	}
}

// session is a scenario that runs on one server.
type session struct {
	ctx         context.Context
	conn        *grpc.ClientConn
	kv          pb.KVClient
	watch       pb.WatchClient
	lease       pb.LeaseClient
	cluster     pb.ClusterClient
	maintenance pb.MaintenanceClient
	auth        pb.AuthClient
	notes       []string
}

// run runs a scenario over a bare connection. A client's connection would repeat a call that is refused because it has no token.
func (s *session) run(t *testing.T, dial func(context.Context, string) (net.Conn, error), endpoint string, scenario func(*session)) {
	conn, err := grpc.NewClient("passthrough:///"+endpoint, grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s.conn = conn
	s.ctx, s.kv, s.watch, s.lease = ctx, pb.NewKVClient(conn), pb.NewWatchClient(conn), pb.NewLeaseClient(conn)
	s.cluster, s.maintenance, s.auth = pb.NewClusterClient(conn), pb.NewMaintenanceClient(conn), pb.NewAuthClient(conn)
	scenario(s)
}

func (s *session) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// noteError notes an error.
func (s *session) noteError(what string, err error) {
	s.note("%s: %v: %s", what, status.Code(err), status.Convert(err).Message())
}

func (s *session) put(key, value string) *pb.PutResponse {
	resp, err := s.kv.Put(s.ctx, &pb.PutRequest{Key: []byte(key), Value: []byte(value)})
	if err != nil {
		s.noteError("put", err)
	}
	return resp
}

func puts(n int, key func(int) string) (ops []*pb.RequestOp) {
	for i := range n {
		ops = append(ops, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key(i))}}})
	}
	return ops
}

func inTxn(t *pb.TxnRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: t}}
}

func deletion(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
}

func numbered(i int) string { return fmt.Sprintf("k%04d", i) }

// begin starts a watch on a new stream, and returns the stream when the watch has begun.
func (s *session) begin(r *pb.WatchCreateRequest) pb.Watch_WatchClient {
	stream, err := s.watch.Watch(s.ctx)
	if err != nil {
		s.noteError("watch", err)
		return nil
	}
	s.send(stream, r)
	s.receive(stream)
	return stream
}

func (s *session) send(stream pb.Watch_WatchClient, r *pb.WatchCreateRequest) {
	stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: r}})
}

// receive notes the next response, with its events by number and revision only.
func (s *session) receive(stream pb.Watch_WatchClient) *pb.WatchResponse {
	r, err := stream.Recv()
	if err != nil {
		s.noteError("watch", err)
		return nil
	}
	note := fmt.Sprintf("watch %d at %d: created %t, canceled %t %q, compacted %d, fragment %t, %d events",
		r.WatchId, r.Header.Revision, r.Created, r.Canceled, r.CancelReason, r.CompactRevision, r.Fragment, len(r.Events))
	if n := len(r.Events); n > 0 {
		note += fmt.Sprintf(" from %q at %d to %q at %d", r.Events[0].Kv.Key, r.Events[0].Kv.ModRevision, r.Events[n-1].Kv.Key, r.Events[n-1].Kv.ModRevision)
	}
	s.note("%s", note)
	return r
}

var scenarios = map[string]func(s *session){
	"a transaction may have 128 operations in each part, less what is around it": func(s *session) {
		for _, n := range []int{128, 129} {
			_, err := s.kv.Txn(s.ctx, &pb.TxnRequest{Success: puts(n, numbered)})
			s.noteError(fmt.Sprint(n, " puts"), err)
			_, err = s.kv.Txn(s.ctx, &pb.TxnRequest{Failure: puts(n, numbered)})
			s.noteError(fmt.Sprint(n, " puts in the other branch"), err)
			compares := make([]*pb.Compare, n)
			for i := range compares {
				compares[i] = &pb.Compare{Key: []byte("k")}
			}
			_, err = s.kv.Txn(s.ctx, &pb.TxnRequest{Compare: compares})
			s.noteError(fmt.Sprint(n, " compares"), err)
			_, err = s.kv.Txn(s.ctx, &pb.TxnRequest{Success: []*pb.RequestOp{inTxn(&pb.TxnRequest{Success: puts(n-1, numbered)})}})
			s.noteError(fmt.Sprint(n-1, " puts in a transaction in another"), err)
			outer := append(puts(63, numbered), inTxn(&pb.TxnRequest{Failure: puts(n-64, func(i int) string { return "x" + numbered(i) })}))
			_, err = s.kv.Txn(s.ctx, &pb.TxnRequest{Success: outer})
			s.noteError(fmt.Sprint("64 and ", n-64), err)
		}
	},
	"a key may be written once, as far as etcd looks": func(s *session) {
		key := func(name string) func(int) string { return func(int) string { return name } }
		put := func(name string) *pb.RequestOp { return puts(1, key(name))[0] }
		inner := func(success, failure []*pb.RequestOp) *pb.RequestOp {
			return inTxn(&pb.TxnRequest{Success: success, Failure: failure})
		}
		type ops = []*pb.RequestOp
		for i, success := range []ops{
			{put("a"), put("a")},
			{put("a"), deletion("a", "")},
			{deletion("a", "c"), put("b")},
			{deletion("a", "c"), put("c")},
			{deletion("c", "a"), put("b")},
			{deletion("a", "\x00"), put("b")},
			{put("b"), deletion("a", "\x00")},
			{inner(ops{put("a")}, ops{put("a")})},
			{inner(ops{put("a")}, nil), inner(nil, ops{put("a")})},
			{inner(ops{put("a")}, nil), put("a")},
			{inner(ops{put("a")}, nil), deletion("a", "")},
			{inner(ops{put("a")}, nil), inner(ops{deletion("a", "")}, nil)},
			{inner(ops{deletion("a", "")}, nil), inner(ops{put("a")}, nil)},
			{inner(ops{deletion("a", "b")}, nil), put("a")},
			{inner(ops{deletion("a", "b"), inner(ops{put("x")}, ops{put("a")})}, nil)},
			{deletion("a", ""), deletion("a", "")},
		} {
			resp, err := s.kv.Txn(s.ctx, &pb.TxnRequest{Success: success})
			s.noteError(fmt.Sprint(i), err)
			if err == nil {
				s.note("revision %d, %d responses", resp.Header.Revision, len(resp.Responses))
			}
		}
	},
	"what is too large is refused": func(s *session) {
		for _, size := range []int{1<<20 + 1<<19 - 100, 1<<20 + 1<<19 + 1, 2<<20 + 1} {
			_, err := s.kv.Put(s.ctx, &pb.PutRequest{Key: []byte("a"), Value: make([]byte, size)})
			text := status.Convert(err).Message()
			text, _, _ = strings.Cut(text, "(") // what follows is the size with what surrounds it
			s.note("put of %d bytes: %v: %s", size, status.Code(err), text)
		}
		_, err := s.kv.Range(s.ctx, &pb.RangeRequest{Key: make([]byte, 1<<20), RangeEnd: []byte{1}})
		s.noteError("a read with a long key", err)
	},
	"a watch of the past gets a thousand revisions at a time": func(s *session) {
		for i := range 2500 {
			s.put(numbered(i%10), "v")
		}
		all := s.begin(&pb.WatchCreateRequest{Key: []byte("k"), RangeEnd: []byte("l"), StartRevision: 2})
		for range 3 {
			s.receive(all)
		}
		one := s.begin(&pb.WatchCreateRequest{Key: []byte(numbered(3)), StartRevision: 2})
		s.receive(one)
		s.put(numbered(3), "v")
		s.receive(all)
		s.receive(one)
	},
	"of two mistakes the same one is named": func(s *session) {
		r := &pb.PutRequest{Key: []byte("none"), Lease: 5, IgnoreValue: true}
		_, err := s.kv.Put(s.ctx, r)
		s.noteError("put", err)
		_, err = s.kv.Txn(s.ctx, &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: r}}}})
		s.noteError("put in a transaction", err) // the error is not the same in etcd 3.6 and 3.7
		_, err = s.kv.Put(s.ctx, &pb.PutRequest{Value: []byte("v"), IgnoreValue: true, Lease: 5, IgnoreLease: true})
		s.noteError("put without a key", err)
		_, err = s.kv.Txn(s.ctx, &pb.TxnRequest{Success: append(puts(129, numbered), new(pb.RequestOp))})
		s.noteError("too many operations, and one that is none", err)
	},
	"keys without values": func(s *session) {
		s.lease.LeaseGrant(s.ctx, &pb.LeaseGrantRequest{ID: 5, TTL: 100})
		s.kv.Put(s.ctx, &pb.PutRequest{Key: []byte("k"), Value: []byte("v"), Lease: 5})
		for _, target := range []pb.RangeRequest_SortTarget{pb.RangeRequest_KEY, pb.RangeRequest_VALUE, pb.RangeRequest_MOD} {
			resp, err := s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k"), KeysOnly: true, SortTarget: target})
			s.noteError(fmt.Sprint("by ", target), err)
			s.note("%v", resp.GetKvs()) // the lease is left out by etcd 3.7
		}
	},
	"the checksum at a compaction is remembered": func(s *session) {
		for i := range 30 {
			s.put(numbered(i%5), "v")
		}
		for revision := int64(10); revision < 30; revision++ {
			_, err := s.kv.Compact(s.ctx, &pb.CompactionRequest{Revision: revision, Physical: true})
			s.noteError("compaction", err)
		}
		for revision := range int64(35) {
			resp, err := s.maintenance.HashKV(s.ctx, &pb.HashKVRequest{Revision: revision})
			s.noteError(fmt.Sprint("checksum at ", revision), err)
			s.note("at %d, compacted at %d, of %d", resp.GetHeader().GetRevision(), resp.GetCompactRevision(), resp.GetHashRevision())
		}
	},
	"a watch that is filtered gets nothing of what it does not want": func(s *session) {
		stream := s.begin(&pb.WatchCreateRequest{Key: []byte("a"), Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT}})
		s.put("a", "")
		s.kv.DeleteRange(s.ctx, &pb.DeleteRangeRequest{Key: []byte("a")})
		s.receive(stream)
	},
	"a large response comes in fragments": func(s *session) {
		value := strings.Repeat("v", 400<<10)
		for i := range 12 {
			s.put(numbered(i), value)
		}
		r := &pb.WatchCreateRequest{Key: []byte("k"), RangeEnd: []byte("l"), StartRevision: 2, Fragment: true}
		stream := s.begin(r)
		for more := true; more; {
			resp := s.receive(stream)
			more = resp != nil && resp.Fragment
		}
		// What is put at once is not cut, if it is small enough to be put.
		s.kv.DeleteRange(s.ctx, &pb.DeleteRangeRequest{Key: []byte("k"), RangeEnd: []byte("l")})
		s.receive(stream)
	},
	"one progress response is for all watches of a stream": func(s *session) {
		ask := func(stream pb.Watch_WatchClient) {
			stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: new(pb.WatchProgressRequest)}})
		}
		cancel := func(stream pb.Watch_WatchClient, id int64) {
			stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}})
			s.receive(stream)
		}
		s.put("a", "")
		stream := s.begin(&pb.WatchCreateRequest{Key: []byte("a")})
		ask(stream)
		s.receive(stream)
		s.send(stream, &pb.WatchCreateRequest{Key: []byte("b"), StartRevision: 3, WatchId: 7})
		s.receive(stream)
		ask(stream) // no answer comes: a watch waits for the next revision
		cancel(stream, 7)
		ask(stream)
		s.receive(stream)
		s.kv.Compact(s.ctx, &pb.CompactionRequest{Revision: 2})
		s.send(stream, &pb.WatchCreateRequest{Key: []byte("b"), StartRevision: 1, WatchId: 8})
		s.receive(stream)
		s.receive(stream)
		ask(stream) // no answer comes: the compacted watch is still there
		s.send(stream, &pb.WatchCreateRequest{Key: []byte("b"), WatchId: 8})
		s.receive(stream)
		cancel(stream, 8)
		ask(stream)
		s.receive(stream)
	},
	"a client that asks for no more still gets what it has asked for": func(s *session) {
		stream := s.begin(&pb.WatchCreateRequest{Key: []byte("a")})
		stream.CloseSend()
		s.put("a", "")
		s.receive(stream)
	},
	"equal keys are in the same order": func(s *session) {
		for i := range 100 {
			s.put(numbered(i*37%100), fmt.Sprint(i%3))
		}
		for target := range int32(5) {
			for order := range int32(3) {
				resp, err := s.kv.Range(s.ctx, &pb.RangeRequest{
					Key: []byte("k"), RangeEnd: []byte("l"), Limit: 70,
					SortTarget: pb.RangeRequest_SortTarget(target), SortOrder: pb.RangeRequest_SortOrder(order),
				})
				if err != nil {
					s.noteError("range", err)
					continue
				}
				for _, kv := range resp.Kvs {
					s.note("%s", kv.Key)
				}
			}
		}
	},
	"a lease lives at least as long as an election may take, and takes its keys with it": func(s *session) {
		stream := s.begin(&pb.WatchCreateRequest{Key: []byte("a"), RangeEnd: []byte("z")})
		for _, ttl := range []int64{1, 0, -5} {
			granted, err := s.lease.LeaseGrant(s.ctx, &pb.LeaseGrantRequest{TTL: ttl})
			if err != nil {
				s.noteError("grant", err)
				continue
			}
			s.note("granted: %d, its identity is positive: %t", granted.TTL, granted.ID > 0)
			for _, key := range []string{"c", "a", "b"} {
				s.kv.Put(s.ctx, &pb.PutRequest{Key: []byte(key), Lease: granted.ID})
				s.receive(stream)
			}
			s.receive(stream) // when it has expired
			left, err := s.lease.LeaseTimeToLive(s.ctx, &pb.LeaseTimeToLiveRequest{ID: granted.ID})
			s.note("left: %d of %d, %v", left.GetTTL(), left.GetGrantedTTL(), err)
		}
	},
	"an alarm forbids what needs space": func(s *session) {
		members, err := s.cluster.MemberList(s.ctx, new(pb.MemberListRequest))
		if err != nil || len(members.Members) != 1 {
			s.noteError("members", err)
			return
		}
		s.note("the header of the members has revision %d", members.Header.Revision)
		id := members.Members[0].ID
		alarm := func(action pb.AlarmRequest_AlarmAction, kind pb.AlarmType) {
			resp, err := s.maintenance.Alarm(s.ctx, &pb.AlarmRequest{Action: action, Alarm: kind, MemberID: id})
			s.noteError(fmt.Sprint(action, kind), err)
			s.note("%d alarms", len(resp.GetAlarms()))
		}
		change := func() {
			_, err := s.kv.Put(s.ctx, &pb.PutRequest{Key: []byte("a")})
			s.noteError("put", err)
			_, err = s.kv.Txn(s.ctx, &pb.TxnRequest{Failure: puts(1, numbered)})
			s.noteError("transaction with a put", err)
			_, err = s.kv.Txn(s.ctx, &pb.TxnRequest{Success: []*pb.RequestOp{deletion("a", "")}})
			s.noteError("transaction with a deletion", err)
			_, err = s.kv.DeleteRange(s.ctx, &pb.DeleteRangeRequest{Key: []byte("a")})
			s.noteError("deletion", err)
			_, err = s.lease.LeaseGrant(s.ctx, &pb.LeaseGrantRequest{TTL: 100, ID: 5})
			s.noteError("grant", err)
			_, err = s.lease.LeaseRevoke(s.ctx, &pb.LeaseRevokeRequest{ID: 5})
			s.noteError("revoke", err)
			_, err = s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("a")})
			s.noteError("read", err)
			_, err = s.kv.Compact(s.ctx, &pb.CompactionRequest{Revision: 1 << 40})
			s.noteError("compaction", err)
			_, err = s.auth.UserAdd(s.ctx, &pb.AuthUserAddRequest{Name: "alice", Password: "pw"})
			s.noteError("user", err)
			_, err = s.auth.AuthStatus(s.ctx, new(pb.AuthStatusRequest))
			s.noteError("status of users", err)
		}
		for _, kind := range []pb.AlarmType{pb.AlarmType_NOSPACE, pb.AlarmType_CORRUPT} {
			alarm(pb.AlarmRequest_GET, kind)
			alarm(pb.AlarmRequest_ACTIVATE, kind)
			alarm(pb.AlarmRequest_ACTIVATE, kind)
			alarm(pb.AlarmRequest_GET, pb.AlarmType_NONE)
			change()
			alarm(pb.AlarmRequest_DEACTIVATE, kind)
			alarm(pb.AlarmRequest_DEACTIVATE, kind)
			change()
		}
	},
	"what a client says of itself is checked": func(s *session) {
		for _, md := range []metadata.MD{
			metadata.Pairs(rpctypes.MetadataRequireLeaderKey, rpctypes.MetadataHasLeader),
			metadata.Pairs(rpctypes.MetadataRequireLeaderKey, "what"),
		} {
			ctx := metadata.NewOutgoingContext(s.ctx, md)
			_, err := s.kv.Range(ctx, &pb.RangeRequest{Key: []byte("a")})
			s.noteError(fmt.Sprint(md), err)
		}
	},
	"bcrypt takes some passwords for one": func(s *session) {
		s.auth.UserAdd(s.ctx, &pb.AuthUserAddRequest{Name: "root", Password: "pw"})
		s.auth.UserGrantRole(s.ctx, &pb.AuthUserGrantRoleRequest{User: "root", Role: "root"})
		longest := strings.Repeat("p", 72)
		passwords := []string{"", "\x00", "a", "a\x00", "a\x00a", "a\x00b", longest[1:], longest[1:] + "\x00", longest, longest + "p", longest + "\x00q"}
		for i, password := range passwords {
			name := fmt.Sprint("user ", i)
			_, err := s.auth.UserAdd(s.ctx, &pb.AuthUserAddRequest{Name: name, Password: password})
			s.noteError(name, err)
			if err == nil && i%2 == 1 {
				_, err = s.auth.UserChangePassword(s.ctx, &pb.AuthUserChangePasswordRequest{Name: name, Password: password + "!"})
				s.noteError("another password", err)
				_, err = s.auth.UserChangePassword(s.ctx, &pb.AuthUserChangePasswordRequest{Name: name, Password: password})
				s.noteError("the same password", err)
			}
		}
		s.auth.AuthEnable(s.ctx, new(pb.AuthEnableRequest))
		for i := range passwords {
			for _, password := range passwords {
				_, err := s.auth.Authenticate(s.ctx, &pb.AuthenticateRequest{Name: fmt.Sprint("user ", i), Password: password})
				s.noteError(fmt.Sprintf("user %d with %q", i, password), err)
			}
		}
	},
	"the list of roles ends at the last byte": func(s *session) {
		for _, name := range []string{"\xff", "\xff\x00", "\xfe\xff", "\x00", "a"} {
			_, err := s.auth.RoleAdd(s.ctx, &pb.AuthRoleAddRequest{Name: name})
			s.noteError("role", err)
			_, err = s.auth.UserAdd(s.ctx, &pb.AuthUserAddRequest{Name: name, Password: "pw"})
			s.noteError("user", err)
		}
		roles, err := s.auth.RoleList(s.ctx, new(pb.AuthRoleListRequest))
		s.noteError("roles", err)
		users, err := s.auth.UserList(s.ctx, new(pb.AuthUserListRequest))
		s.noteError("users", err)
		s.note("%q and %q", roles.GetRoles(), users.GetUsers())
	},
	"a lone member cannot hand over": func(s *session) {
		_, err := s.maintenance.MoveLeader(s.ctx, &pb.MoveLeaderRequest{TargetID: 5})
		s.noteError("move the leader", err)
		status, err := s.maintenance.Status(s.ctx, new(pb.StatusRequest))
		s.noteError("status", err)
		s.note("version %s, it leads: %t, learner: %t, errors: %v, quota %d", status.GetVersion(), // the storage version is set a moment after the start
			status.GetLeader() == status.GetHeader().GetMemberId(), status.GetIsLearner(), status.GetErrors(), status.GetDbSizeQuota())
		_, err = s.maintenance.Defragment(s.ctx, new(pb.DefragmentRequest))
		s.noteError("defragment", err)
	},
}
