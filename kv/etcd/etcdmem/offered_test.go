package etcdmem_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// The test calls each method of etcd's own service descriptors.
func TestTheDocumentListsTheServices(t *testing.T) {
	leaktest.Check(t)
	conn := etcdmem.Start(t, 1).Client().ActiveConnection()
	var table strings.Builder
	table.WriteString("| service | offered | not offered |\n| --- | --- | --- |\n")
	services := etcdServices()
	for _, name := range []string{"KV", "Watch", "Lease", "Auth", "Cluster", "Maintenance"} {
		var offered, not []string
		for _, m := range services["etcdserverpb."+name].Methods {
			list := &not
			if offers(t, conn, fmt.Sprintf("/etcdserverpb.%s/%s", name, m.Name), m.IsServerStream || m.IsClientStream) {
				list = &offered
			}
			*list = append(*list, m.Name)
		}
		if name == "KV" && !slices.Contains(slices.Concat(offered, not), "RangeStream") { // the API of 3.6 lacks it
			offered = append(offered, "RangeStream")
		}
		slices.Sort(offered)
		slices.Sort(not)
		fmt.Fprintf(&table, "| %s | %s | %s |\n", name, strings.Join(offered, ", "), strings.Join(not, ", "))
	}
	document, err := os.ReadFile("../../../docs/etcdmem.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), table.String()) {
		t.Errorf("docs/etcdmem.md does not have this table:\n%s", table.String())
	}
}

// etcdServices returns the services of etcd's API.
func etcdServices() map[string]grpc.ServiceInfo {
	s := grpc.NewServer()
	pb.RegisterKVServer(s, new(pb.UnimplementedKVServer))
	pb.RegisterWatchServer(s, new(pb.UnimplementedWatchServer))
	pb.RegisterLeaseServer(s, new(pb.UnimplementedLeaseServer))
	pb.RegisterAuthServer(s, new(pb.UnimplementedAuthServer))
	pb.RegisterClusterServer(s, new(pb.UnimplementedClusterServer))
	pb.RegisterMaintenanceServer(s, new(pb.UnimplementedMaintenanceServer))
	return s.GetServiceInfo()
}

// offers calls a method with an empty message. It reports whether the answer is anything but Unimplemented.
func offers(t *testing.T, conn *grpc.ClientConn, method string, stream bool) bool {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var in, out []byte
	if !stream {
		return status.Code(conn.Invoke(ctx, method, &in, &out, grpc.ForceCodec(rawCodec{}))) != codes.Unimplemented
	}
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		t.Fatal(err)
	}
	// A stream that waits for more messages is offered. So offers waits for the end of the call, with or without an answer.
	if err := s.SendMsg(&in); err != nil {
		t.Fatal(err)
	}
	if method == "/etcdserverpb.Watch/Watch" {
		return true // an empty message asks for nothing, so the stream stays open; other tests show that watches work
	}
	s.CloseSend()
	return status.Code(s.RecvMsg(&out)) != codes.Unimplemented
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string                       { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
