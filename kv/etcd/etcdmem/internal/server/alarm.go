package server

import (
	"cmp"
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// alarms are the raised alarms, in order. While there is one, the cluster refuses requests that would make the situation worse.
type alarms []alarm

type alarm struct {
	kind   pb.AlarmType
	member uint64
}

func (a alarms) copy() alarms { return slices.Clone(a) }

func (a alarms) raised(kind pb.AlarmType) bool {
	return slices.ContainsFunc(a, func(one alarm) bool { return one.kind == kind })
}

func (one alarm) compare(other alarm) int {
	return cmp.Or(cmp.Compare(one.kind, other.kind), cmp.Compare(one.member, other.member))
}

func (one alarm) message() *pb.AlarmMember {
	return &pb.AlarmMember{MemberID: one.member, Alarm: one.kind}
}

// alarm does the action of an alarm request.
func (w *write) alarm(r *pb.AlarmRequest) *pb.AlarmResponse {
	resp := &pb.AlarmResponse{Header: new(pb.ResponseHeader)}
	one := alarm{r.Alarm, r.MemberID}
	at, found := slices.BinarySearchFunc(w.alarms, one, alarm.compare)
	switch r.Action {
	case pb.AlarmRequest_GET:
		for _, one := range w.alarms {
			if r.Alarm == pb.AlarmType_NONE || r.Alarm == one.kind {
				resp.Alarms = append(resp.Alarms, one.message())
			}
		}
	case pb.AlarmRequest_ACTIVATE:
		if r.Alarm == pb.AlarmType_NONE {
			break
		}
		if !found {
			w.alarms = slices.Insert(w.alarms, at, one)
		}
		resp.Alarms = append(resp.Alarms, one.message())
	case pb.AlarmRequest_DEACTIVATE:
		if found {
			w.alarms = slices.Delete(w.alarms, at, at+1)
			resp.Alarms = append(resp.Alarms, one.message())
		}
	}
	return resp
}

func (s *maintenanceService) Alarm(ctx context.Context, r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	if _, ok := pb.AlarmRequest_AlarmAction_name[int32(r.Action)]; !ok {
		return nil, status.Errorf(codes.InvalidArgument, "etcdmem: unknown alarm action %d", r.Action) // real etcd panics
	}
	allowed := (*auth).admin
	if r.Action == pb.AlarmRequest_GET {
		allowed = (*auth).known
	}
	if err := s.check(ctx, allowed); err != nil {
		return nil, err
	}
	return request(ctx, s.Server, &pb.InternalRaftRequest{Alarm: r}, func(w *write) (*pb.AlarmResponse, error) {
		return w.alarm(r), nil
	})
}

// allowed returns the error of a change that an alarm forbids. An alarm for space forbids puts and new leases. One for corruption forbids
// every change of keys and leases, but none of users.
func (st *State) allowed(r *pb.InternalRaftRequest) error {
	if len(st.alarms) == 0 {
		return nil
	}
	put := r.Put != nil || r.LeaseGrant != nil || r.Txn != nil && mayPut(r.Txn)
	change := put || r.DeleteRange != nil || r.Txn != nil || r.Compaction != nil || r.LeaseRevoke != nil
	switch {
	case change && st.alarms.raised(pb.AlarmType_CORRUPT):
		return rpctypes.ErrGRPCCorrupt
	case put && st.alarms.raised(pb.AlarmType_NOSPACE):
		return rpctypes.ErrGRPCNoSpace
	}
	return nil
}

// mayPut reports whether a transaction has a put in any branch.
func mayPut(r *pb.TxnRequest) bool {
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range ops {
			if op.GetRequestPut() != nil || op.GetRequestTxn() != nil && mayPut(op.GetRequestTxn()) {
				return true
			}
		}
	}
	return false
}
