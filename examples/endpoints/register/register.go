// Package register announces an instance of a service in etcd, for as long as the instance runs.
package register

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/value"
)

// Instance is what is announced.
type Instance struct {
	Key   string
	Value []byte
	// TTL is how long the key outlives an instance that has crashed or is cut off. etcd counts in seconds, and with its
	// default settings two seconds are the least. A short TTL removes instances that are only slow: ten seconds are a good beginning.
	TTL time.Duration
	// Logger gets what goes wrong. It may be nil.
	Logger *slog.Logger
}

// Keep announces the instance until ctx ends, and then takes the key away, so that clients need not wait for the lease to expire. It
// begins again when the lease is lost or etcd is out of reach. The error is that of ctx.
func Keep(ctx context.Context, client *clientv3.Client, i Instance) error {
	if i.Logger == nil {
		i.Logger = slog.New(slog.DiscardHandler)
	}
	for {
		err := i.once(ctx, client)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		i.Logger.Warn("not registered", "key", i.Key, "error", err)
		select {
		case <-time.After(time.Second/2 + rand.N(time.Second/2)): // not all instances at the same moment
		case <-ctx.Done():
		}
	}
}

var errLeaseLost = errors.New("the lease is lost")

// once announces the instance under a new lease, and returns when that is lost.
func (i Instance) once(ctx context.Context, client *clientv3.Client) error {
	seconds := max(1, int64((i.TTL+time.Second-1)/time.Second))
	lease, err := within(ctx, i.TTL, func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) {
		return client.Grant(ctx, seconds)
	})
	if err != nil {
		return fmt.Errorf("grant a lease: %w", err)
	}
	defer func() {
		if ctx.Err() != nil { // the instance ends; otherwise the lease may expire
			within(context.WithoutCancel(ctx), i.TTL, func(ctx context.Context) (*clientv3.LeaseRevokeResponse, error) {
				return client.Revoke(ctx, lease.ID)
			})
		}
	}()

	held, cancel := context.WithCancel(ctx)
	defer cancel()
	alive, err := client.KeepAlive(held, lease.ID) // its channel is closed when the lease has expired
	if err != nil {
		return fmt.Errorf("keep the lease: %w", err)
	}
	put := func() error {
		_, err := within(ctx, i.TTL, func(ctx context.Context) (*clientv3.PutResponse, error) {
			return client.Put(ctx, i.Key, string(i.Value), clientv3.WithLease(lease.ID))
		})
		return err
	}
	if err := put(); err != nil {
		return fmt.Errorf("put the key: %w", err)
	}
	// Whatever deletes the key, it comes back: an operator, or an older lease of this instance, to which a late put has tied it.
	own := value.New(etcd.New(client), i.Key, value.Bytes).Chan(held)
	for {
		select {
		case _, ok := <-alive:
			if !ok {
				return errLeaseLost
			}
		case r, ok := <-own:
			if !ok {
				return errors.New("the key cannot be watched")
			}
			if errors.Is(r.Err, value.ErrDeleted) {
				if err := put(); err != nil {
					return fmt.Errorf("put the key again: %w", err)
				}
			}
		}
	}
}

// within makes one request, which has d to be answered.
func within[T any](ctx context.Context, d time.Duration, request func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return request(ctx)
}
