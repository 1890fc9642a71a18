package etcd_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
)

// pages is an etcd with many keys whose values have one size. It records how many keys each request asks for.
type pages struct {
	keys, size int
	fits       int64 // how many keys fit into a message; zero means all
	asked      []int64
}

func (p *pages) get(_ context.Context, op clientv3.Op) (*clientv3.GetResponse, error) {
	p.asked = append(p.asked, op.Limit())
	if p.fits > 0 && op.Limit() > p.fits {
		return nil, status.Error(codes.ResourceExhausted, "grpc: received message larger than max (9 vs. 8)")
	}
	var from int
	fmt.Sscanf(string(op.KeyBytes()), "/k/%d", &from)
	if len(op.KeyBytes()) > len("/k/00000000") {
		from++ // the page begins after that key
	}
	value := make([]byte, p.size)
	resp := &clientv3.GetResponse{Header: header(1), Count: int64(p.keys - from)}
	for i := from; i < p.keys && i-from < int(op.Limit()); i++ {
		resp.Kvs = append(resp.Kvs, &mvccpb.KeyValue{Key: fmt.Appendf(nil, "/k/%08d", i), Value: value, ModRevision: 1})
	}
	resp.More = from+len(resp.Kvs) < p.keys
	return resp, nil
}

// Large pages cost etcd less than small pages, until they are so large that they need much memory.
func TestTheSizeOfAPageFollowsTheSizeOfItsValues(t *testing.T) {
	for name, test := range map[string]struct {
		etcd    pages
		options []etcd.Option
		want    []int64
	}{
		"few keys":          {pages{keys: 100, size: 100}, nil, []int64{10_000}},
		"small values":      {pages{keys: 100_000, size: 100}, nil, []int64{10_000, 117_323}},
		"large values":      {pages{keys: 10_040, size: 1 << 20}, nil, []int64{10_000, 15, 15, 15}},
		"a size is set":     {pages{keys: 50, size: 100}, []etcd.Option{etcd.WithPageSize(20)}, []int64{20, 20, 20}},
		"messages are less": {pages{keys: 6000, size: 100, fits: 3000}, nil, []int64{10_000, 5000, 2500, 2500, 2500}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := etcd.New(&fake{get: test.etcd.get}, test.options...).Get(t.Context(), kv.Prefix("/k/"))
			if err != nil || len(got.Entries) != test.etcd.keys {
				t.Fatalf("got %d entries and %v, want %d", len(got.Entries), err, test.etcd.keys)
			}
			if !slices.IsSortedFunc(got.Entries, func(a, b kv.Entry) int { return slices.Compare([]byte(a.Key), []byte(b.Key)) }) {
				t.Error("the entries are not sorted by key")
			}
			if !slices.Equal(test.etcd.asked, test.want) {
				t.Errorf("the requests asked for pages of %v keys, want %v", test.etcd.asked, test.want)
			}
		})
	}
}
