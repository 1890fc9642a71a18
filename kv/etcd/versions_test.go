package etcd_test

import (
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// headed is r with header h, which is a struct in version 3.6 of etcd's client and a pointer in version 3.7.
func headed(h *pb.ResponseHeader, r clientv3.WatchResponse) clientv3.WatchResponse {
	switch field := any(&r.Header).(type) {
	case *pb.ResponseHeader:
		field.ClusterId, field.MemberId, field.Revision, field.RaftTerm = h.ClusterId, h.MemberId, h.Revision, h.RaftTerm
	case **pb.ResponseHeader:
		*field = h
	}
	return r
}

// refused is what etcd's client says of a watch that is refused for reason. The client makes it, because nothing else can set
// the reason in version 3.6.
func refused(t *testing.T, reason string) clientv3.WatchResponse {
	t.Helper()
	watcher := clientv3.NewWatchFromWatchClient(refusing(reason), clientv3.NewCtxClient(t.Context()))
	r, ok := <-watcher.Watch(t.Context(), "k")
	if !ok || !r.Canceled || r.Err() == nil {
		t.Fatalf("etcd's client says %+v of a watch that is refused because of %q", r, reason)
	}
	return r
}

// refusing refuses every stream of watches for this reason.
type refusing string

func (r refusing) Watch(context.Context, ...grpc.CallOption) (pb.Watch_WatchClient, error) {
	return nil, status.Error(codes.FailedPrecondition, string(r))
}
