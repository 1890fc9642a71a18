package etcdmem_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// FuzzRequest sends any bytes to any method. The server must answer, and must still work afterwards.
func FuzzRequest(f *testing.F) {
	var methods []string
	streams := make(map[string]bool)
	for name, service := range etcdServices() {
		for _, m := range service.Methods {
			method := "/" + name + "/" + m.Name
			methods = append(methods, method)
			streams[method] = m.IsClientStream || m.IsServerStream
		}
	}
	for _, seed := range []protoadapt.MessageV1{
		&pb.PutRequest{Key: []byte("a"), Lease: 5, IgnoreValue: true},
		&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte{0}, Limit: -1, SortOrder: 7},
		&pb.TxnRequest{Compare: []*pb.Compare{{}}, Success: []*pb.RequestOp{{}, inTxn()}},
		&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{StartRevision: -5, WatchId: -1}}},
		&pb.AuthRoleGrantPermissionRequest{Name: "root"},
		&pb.LeaseGrantRequest{TTL: -1 << 63},
		&pb.AlarmRequest{Action: 9},
	} {
		bytes, err := proto.Marshal(protoadapt.MessageV2Of(seed))
		if err != nil {
			f.Fatal(err)
		}
		for i := range methods {
			f.Add(uint8(i), bytes)
		}
	}
	cluster, err := etcdmem.New(1)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { cluster.Close() })
	// This is not the connection of an etcd client, because a client retries some calls.
	conn, err := grpc.NewClient("passthrough:///"+cluster.Endpoints()[0], grpc.WithContextDialer(cluster.Network().Dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { conn.Close() })
	f.Fuzz(func(t *testing.T, method uint8, in []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		name := methods[int(method)%len(methods)]
		var out []byte
		if !streams[name] {
			conn.Invoke(ctx, name, &in, &out, grpc.ForceCodec(rawCodec{}))
		} else if s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, name, grpc.ForceCodec(rawCodec{})); err == nil {
			s.SendMsg(&in)
			s.CloseSend()
		}
		if pb.NewMaintenanceClient(conn).Status(ctx, new(pb.StatusRequest)); ctx.Err() != nil {
			t.Fatalf("after a call of %s with %x the server does not answer", name, in)
		}
	})
}

func inTxn() *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Failure: []*pb.RequestOp{{}}}}}
}
