package etcd_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
)

// cancelling answers the first write with Canceled, although its caller has not cancelled it. It accepts the later writes.
type cancelling struct {
	pb.UnimplementedKVServer
	writes atomic.Int64
}

func (s *cancelling) Txn(context.Context, *pb.TxnRequest) (*pb.TxnResponse, error) {
	if s.writes.Add(1) == 1 {
		return nil, rpctypes.ErrGRPCCanceled
	}
	return &pb.TxnResponse{Header: &pb.ResponseHeader{Revision: 5}, Succeeded: true}, nil
}

// As the comment of Put says: etcd's client repeats a write if MaxUnaryRetries allows more than one try.
func TestOnlyTheClientRepeatsAWriteThatWasAnsweredAsCancelled(t *testing.T) {
	leaktest.Check(t)
	for _, test := range []struct {
		name  string
		tries uint
		sent  int64
		want  error
	}{
		{"as it is by default", 0, 2, nil},
		{"with one try", 1, 1, kv.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server, service := grpc.NewServer(), new(cancelling)
			pb.RegisterKVServer(server, service)
			served := make(chan error, 1)
			go func() { served <- server.Serve(listener) }()
			defer func() { server.Stop(); <-served }()

			client, err := clientv3.New(clientv3.Config{
				Endpoints: []string{listener.Addr().String()}, MaxUnaryRetries: test.tries, Logger: zap.NewNop(),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if _, err := etcd.New(client).Put(t.Context(), "key", nil); !errors.Is(err, test.want) {
				t.Errorf("the write gives %v, want %v", err, test.want)
			}
			if got := service.writes.Load(); got != test.sent {
				t.Errorf("the write was sent %d times, want %d", got, test.sent)
			}
		})
	}
}
