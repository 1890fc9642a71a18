package etcdmem_test

import (
	"context"
	"net"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// floor returns etcd's client, connected over a pipe in this process to a gRPC server that answers at once: what the client and gRPC cost alone.
func floor(b *testing.B) *clientv3.Client {
	l, server := bufconn.Listen(64<<10), grpc.NewServer(grpc.NumStreamWorkers(4))
	n := &nothing{created: make(chan struct{}), puts: make(chan struct{})}
	pb.RegisterKVServer(server, n)
	pb.RegisterWatchServer(server, n)
	go server.Serve(l)
	b.Cleanup(server.Stop)
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{"http://floor:2379"},
		Logger:      zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(dial)},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	return client
}

// nothing answers at once. It has at most one stream, and sends every watch on it the same event for each put.
type nothing struct {
	pb.UnimplementedKVServer
	pb.UnimplementedWatchServer
	watching      bool
	created, puts chan struct{}
}

var header = &pb.ResponseHeader{ClusterId: 1 << 63, MemberId: 1 << 63, Revision: 1000, RaftTerm: 2}

func (n *nothing) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	return &pb.RangeResponse{Header: header}, nil
}

func (n *nothing) Put(context.Context, *pb.PutRequest) (*pb.PutResponse, error) {
	if n.watching {
		n.puts <- struct{}{}
	}
	return &pb.PutResponse{Header: header}, nil
}

func (n *nothing) Watch(stream pb.Watch_WatchServer) error {
	n.watching = true
	go n.receive(stream)
	event := &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte("/app/limits"), Value: []byte("value"), CreateRevision: 2, ModRevision: 1000, Version: 999}}
	watches := int64(0)
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case <-n.created:
			stream.Send(&pb.WatchResponse{Header: header, WatchId: watches, Created: true})
			watches++
		case <-n.puts:
			for id := range watches {
				stream.Send(&pb.WatchResponse{Header: header, WatchId: id, Events: []*mvccpb.Event{event}})
			}
		}
	}
}

// receive counts the requests for watches.
func (n *nothing) receive(stream pb.Watch_WatchServer) {
	for {
		r, err := stream.Recv()
		if err != nil {
			return
		}
		if r.GetCreateRequest() != nil {
			n.created <- struct{}{}
		}
	}
}
