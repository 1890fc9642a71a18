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

// headed returns r with header h. The header is a struct in version 3.6 of etcd's client, and a pointer in version 3.7.
func headed(h *pb.ResponseHeader, r clientv3.WatchResponse) clientv3.WatchResponse {
	switch field := any(&r.Header).(type) {
	case *pb.ResponseHeader:
		field.ClusterId, field.MemberId, field.Revision, field.RaftTerm = h.ClusterId, h.MemberId, h.Revision, h.RaftTerm
	case **pb.ResponseHeader:
		*field = h
	}
	return r
}

// refused returns the response of etcd's client to a watch that is refused for reason. A real client makes it, because in version 3.6
// nothing else can set the reason.
func refused(t *testing.T, reason string) clientv3.WatchResponse {
	t.Helper()
	watcher := clientv3.NewWatchFromWatchClient(refusing(reason), clientv3.NewCtxClient(t.Context()))
	r, ok := <-watcher.Watch(t.Context(), "k")
	if !ok || !r.Canceled || r.Err() == nil {
		t.Fatalf("etcd's client gives %+v for a watch that was refused with the reason %q", r, reason)
	}
	return r
}

// refusing refuses every stream of watches for this reason.
type refusing string

func (r refusing) Watch(context.Context, ...grpc.CallOption) (pb.Watch_WatchClient, error) {
	return nil, status.Error(codes.FailedPrecondition, string(r))
}
