package etcd_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// weighed is a client that counts the bytes of the answers to its reads.
type weighed struct {
	*clientv3.Client
	bytes int
}

func (c *weighed) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	resp, err := c.Client.Get(ctx, key, opts...)
	if err == nil {
		for _, pair := range resp.Kvs {
			c.bytes += len(pair.Key) + len(pair.Value) + 32
		}
		c.bytes += 64
	}
	return resp, err
}

func TestASummaryOfManyKeysIsAFewBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &weighed{Client: etcdmem.Start(t, 1).Client()}
		s := etcd.New(client)
		const keys = 5000
		for i := 0; i < keys; i += 100 {
			var ops []kv.Op
			for n := range 100 {
				ops = append(ops, kv.PutOp(fmt.Sprintf("/m/%05d", i+n), []byte("value")))
			}
			if _, err := s.Commit(t.Context(), ops...); err != nil {
				t.Fatal(err)
			}
		}
		last, err := s.Put(t.Context(), "/m/00042", []byte("newer"))
		if err != nil {
			t.Fatal(err)
		}
		client.bytes = 0
		got, err := s.Summarize(t.Context(), kv.Prefix("/m/"), last, 2)
		if err != nil || got.Count != keys || len(got.Since) != 1 || got.Since[0].Key != "/m/00042" || got.More || got.Revision != last {
			t.Errorf("Summarize = %+v, %v", got, err)
		}
		if client.bytes > 200 {
			t.Errorf("promised: a summary is one answer with few keys; its answers have %d bytes", client.bytes)
		}
	})
}

func TestASummaryOfAnEmptyIntervalIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := etcd.New(etcdmem.Start(t, 1).Client())
		last, err := s.Put(t.Context(), "\x00", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Summarize(t.Context(), kv.Interval("", "\x00"), 0, 5)
		if err != nil || got.Count != 0 || got.Since != nil || got.More || got.Revision != last {
			t.Errorf("promised: no key is before the lowest one; Summarize = %+v, %v", got, err)
		}
	})
}
