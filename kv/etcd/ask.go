package etcd

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// ask makes one read of etcd.
func (s *Store) ask(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return s.client.Get(ctx, key, opts...)
}
