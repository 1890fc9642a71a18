package etcd

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// headerOf returns the header of resp. In version 3.6 of etcd's client the header is a struct. In version 3.7 it is a pointer, which
// may be nil. Its getters are the same.
func headerOf(resp *clientv3.WatchResponse) *pb.ResponseHeader {
	return &pb.ResponseHeader{
		ClusterId: resp.Header.GetClusterId(),
		MemberId:  resp.Header.GetMemberId(),
		Revision:  resp.Header.GetRevision(),
		RaftTerm:  resp.Header.GetRaftTerm(),
	}
}
