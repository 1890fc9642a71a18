package etcdmem_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/version"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

// rangeStream asks for a range in parts, which etcd 3.7 offers, and returns the parts as text. It names no type that etcd 3.6 lacks: on the
// wire, a part is the same as the answer of a transaction to a range.
func rangeStream(t *testing.T, client *clientv3.Client, r *pb.RangeRequest) (parts []string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := client.ActiveConnection().NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/etcdserverpb.KV/RangeStream")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(r); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for {
		part := new(pb.ResponseOp)
		if err := stream.RecvMsg(part); errors.Is(err, io.EOF) {
			return parts, nil
		} else if err != nil {
			return parts, err
		}
		parts = append(parts, describe(part.GetResponseRange()))
	}
}

func describe(r *pb.RangeResponse) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d keys", len(r.Kvs))
	for _, kv := range r.Kvs {
		fmt.Fprintf(&s, " %s=%d bytes %d %d %d %d", kv.Key, len(kv.Value), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease)
	}
	fmt.Fprintf(&s, ", count %d, more %v", r.Count, r.More)
	if r.Header != nil {
		fmt.Fprintf(&s, ", revision %d", r.Header.Revision)
	}
	return s.String()
}

// etcd 3.6 answers that it does not know the method.
func TestARangeIsStreamedLikeInEtcd(t *testing.T) {
	leaktest.Check(t)
	memory, real := etcdmem.Start(t, 1).Client(), etcdtest.Start(t, 1).Client()
	for _, client := range []*clientv3.Client{memory, real} {
		for i := range 200 {
			put(t, client, fmt.Sprintf("/small/%03d", i), "v")
		}
		for i := range 20 {
			put(t, client, fmt.Sprintf("/large/%03d", i), strings.Repeat("v", 200<<10))
		}
		put(t, client, "/small/100", "again")
		if _, err := client.Compact(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
	small := func(change func(*pb.RangeRequest)) *pb.RangeRequest {
		r := &pb.RangeRequest{Key: []byte("/small/"), RangeEnd: []byte("/small0")}
		change(r)
		return r
	}
	for name, r := range map[string]*pb.RangeRequest{
		"of small values":         small(func(r *pb.RangeRequest) {}),
		"of large values":         {Key: []byte("/large/"), RangeEnd: []byte("/large0")},
		"of all keys":             {Key: []byte{0}, RangeEnd: []byte{0}},
		"of one key":              {Key: []byte("/small/100")},
		"of no key":               {Key: []byte("/none")},
		"serializable":            small(func(r *pb.RangeRequest) { r.Serializable = true }),
		"with a limit":            small(func(r *pb.RangeRequest) { r.Limit = 25 }),
		"with a small limit":      small(func(r *pb.RangeRequest) { r.Limit = 3 }),
		"with a negative limit":   small(func(r *pb.RangeRequest) { r.Limit = -1 }),
		"of the past":             small(func(r *pb.RangeRequest) { r.Revision = 150 }),
		"with a limit, long ago":  small(func(r *pb.RangeRequest) { r.Revision, r.Limit = 150, 70 }),
		"of a negative revision":  small(func(r *pb.RangeRequest) { r.Revision = -1 }),
		"of a compacted revision": small(func(r *pb.RangeRequest) { r.Revision = 5 }),
		"of the future":           small(func(r *pb.RangeRequest) { r.Revision = 5000 }),
		"without values":          small(func(r *pb.RangeRequest) { r.KeysOnly = true }),
		"counted":                 small(func(r *pb.RangeRequest) { r.CountOnly = true }),
		"counted, with a limit":   small(func(r *pb.RangeRequest) { r.CountOnly, r.Limit = true, 5 }),
		"in order":                small(func(r *pb.RangeRequest) { r.SortOrder = pb.RangeRequest_ASCEND }),
		"in another order":        small(func(r *pb.RangeRequest) { r.SortOrder = pb.RangeRequest_DESCEND }),
		"sorted by version": small(func(r *pb.RangeRequest) {
			r.SortTarget, r.SortOrder = pb.RangeRequest_VERSION, pb.RangeRequest_ASCEND
		}),
		"in an order that there is not": small(func(r *pb.RangeRequest) { r.SortOrder = 7 }),
		"filtered":                      small(func(r *pb.RangeRequest) { r.MinModRevision = 100 }),
		"without a key":                 {},
	} {
		t.Run(name, func(t *testing.T) { sameStream(t, memory, real, r) })
	}
	for _, client := range []*clientv3.Client{memory, real} {
		enableAuth(t, client)
	}
	t.Run("without a user", func(t *testing.T) { sameStream(t, memory, real, &pb.RangeRequest{Key: []byte("/small/100")}) })
}

// sameStream asks both clusters to stream a range, and compares the answers.
func sameStream(t *testing.T, memory, real *clientv3.Client, r *pb.RangeRequest) {
	got, gotErr := rangeStream(t, memory, r)
	want, wantErr := rangeStream(t, real, r)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the parts of a range differ from etcd's (-etcd +memory):\n%s", diff)
	}
	if status.Code(gotErr) != status.Code(wantErr) || status.Convert(gotErr).Message() != status.Convert(wantErr).Message() {
		t.Errorf("the error is %v, and etcd's is %v", gotErr, wantErr)
	}
	if version.APIVersion == "3.6" && status.Code(gotErr) != codes.Unimplemented {
		t.Errorf("the API of 3.6 has a streamed range: %v", gotErr)
	}
}

func enableAuth(t *testing.T, client *clientv3.Client) {
	t.Helper()
	_, role := client.RoleAdd(t.Context(), "root")
	_, user := client.UserAdd(t.Context(), "root", "secret")
	_, grant := client.UserGrantRole(t.Context(), "root", "root")
	_, enable := client.AuthEnable(t.Context())
	if err := errors.Join(role, user, grant, enable); err != nil {
		t.Fatal(err)
	}
}
