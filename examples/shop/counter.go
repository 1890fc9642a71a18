package shop

import (
	"context"
	"errors"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// closedAfter is the number of seconds after which a counter is closed if its server is gone: ten minutes.
const closedAfter = 600

var ErrClosedForUs = errors.New("the counter was closed, because etcd could not be reached for too long")

// Staff lists a counter at /shop/counters/name until ctx ends. After that, or if the server dies, the counter stays listed for up to ten
// minutes.
func Staff(ctx context.Context, client *clientv3.Client, name, server string) error {
	lease, err := client.Grant(ctx, closedAfter)
	if err != nil {
		return err
	}
	if _, err := client.Put(ctx, "/shop/counters/"+name, server, clientv3.WithLease(lease.ID)); err != nil {
		return err
	}
	kept, err := client.KeepAlive(ctx, lease.ID)
	if err != nil {
		return err
	}
	for range kept {
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return ErrClosedForUs
}

// Counters returns how many counters there are.
func Counters(ctx context.Context, client *clientv3.Client) (int, error) {
	r, err := client.Get(ctx, "/shop/counters/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return int(r.Count), nil
}
