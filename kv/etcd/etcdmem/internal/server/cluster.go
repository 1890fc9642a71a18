package server

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

type clusterService struct {
	pb.UnimplementedClusterServer
	*Server
}

func (s *clusterService) MemberList(ctx context.Context, r *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	if r.Linearizable {
		if err := s.member.ReadIndex(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.check(ctx, (*auth).known); err != nil {
		return nil, err
	}
	status := s.member.Status()
	// As in etcd, this header has no revision.
	resp := &pb.MemberListResponse{Header: &pb.ResponseHeader{ClusterId: status.ClusterID, MemberId: s.id, RaftTerm: status.Term}}
	for _, m := range status.Members {
		resp.Members = append(resp.Members, &pb.Member{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs})
	}
	return resp, nil
}
