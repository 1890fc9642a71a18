package etcd

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// headerOf returns the header of resp. It is a struct in version 3.6 of etcd's client and a pointer, which may be nil,
// in version 3.7; its getters are the same.
func headerOf(resp *clientv3.WatchResponse) *pb.ResponseHeader {
	return &pb.ResponseHeader{
		ClusterId: resp.Header.GetClusterId(),
		MemberId:  resp.Header.GetMemberId(),
		Revision:  resp.Header.GetRevision(),
		RaftTerm:  resp.Header.GetRaftTerm(),
	}
}
