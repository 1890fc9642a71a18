// Package register announces an instance of a service in etcd while the instance runs.
package register

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/value"
)

// Instance is what is announced.
type Instance struct {
	Key   string
	Value []byte
	// TTL is how long the key outlives an instance that has crashed or is cut off. etcd counts in seconds. With its
	// default settings the minimum is two seconds. A short TTL removes instances that are only slow. Ten seconds are a good start.
	TTL time.Duration
	// Logger gets the errors. It may be nil.
	Logger *slog.Logger
}

// Keep announces the instance until ctx ends. Then it deletes the key, so that clients need not wait until the lease expires. It
// retries when the lease is lost or etcd cannot be reached. It returns the error of ctx.
func Keep(ctx context.Context, client *clientv3.Client, i Instance) error {
	if i.Logger == nil {
		i.Logger = slog.New(slog.DiscardHandler)
	}
	var leases []held
	defer func() { revoke(context.WithoutCancel(ctx), client, leases, i.TTL) }()
	for {
		lease, err := i.once(ctx, client)
		now := time.Now()
		leases = append(slices.DeleteFunc(leases, func(l held) bool { return l.until.Before(now) }), lease)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		i.Logger.Warn("not registered", "key", i.Key, "error", err)
		select {
		case <-time.After(time.Second/2 + rand.N(time.Second/2)): // so that not all instances retry at the same moment
		case <-ctx.Done():
		}
	}
}

var errLeaseLost = errors.New("the lease is lost")

// held is a lease that may have the key: if the answer to the put was lost, the put may have happened.
type held struct {
	lease clientv3.LeaseID // zero for none
	until time.Time        // when it has expired at the latest, if nothing keeps it alive
}

// once announces the instance with a new lease, and returns when that lease is lost.
func (i Instance) once(ctx context.Context, client *clientv3.Client) (l held, err error) {
	seconds := max(1, int64((i.TTL+time.Second-1)/time.Second))
	lease, err := within(ctx, i.TTL, func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) {
		return client.Grant(ctx, seconds)
	})
	if err != nil {
		return l, fmt.Errorf("grant a lease: %w", err)
	}
	l.lease = lease.ID
	defer func() { l.until = time.Now().Add(time.Duration(lease.TTL) * time.Second) }()

	holding, cancel := context.WithCancel(ctx)
	defer cancel()
	alive, err := client.KeepAlive(holding, lease.ID) // its channel is closed when the lease has expired
	if err != nil {
		return l, fmt.Errorf("keep the lease: %w", err)
	}
	put := func() error {
		_, err := within(ctx, i.TTL, func(ctx context.Context) (*clientv3.PutResponse, error) {
			return client.Put(ctx, i.Key, string(i.Value), clientv3.WithLease(lease.ID))
		})
		return err
	}
	if err := put(); err != nil {
		return l, fmt.Errorf("put the key: %w", err)
	}
	// If the key is deleted, put it again. An operator may delete it, even before the first look at it. Or an older lease of this instance expires, to
	// which a late put has bound the key.
	own := value.New(etcd.New(client), i.Key, value.Bytes).Chan(holding, value.ReportAbsence())
	for {
		select {
		case _, ok := <-alive:
			if !ok {
				return l, errLeaseLost
			}
		case r, ok := <-own:
			if !ok {
				return l, errors.New("the key cannot be watched")
			}
			if errors.Is(r.Err, value.ErrDeleted) || errors.Is(r.Err, kv.ErrNotFound) {
				if err := put(); err != nil {
					return l, fmt.Errorf("put the key again: %w", err)
				}
			}
		}
	}
}

// revoke revokes leases, so that clients need not wait until they expire.
func revoke(ctx context.Context, client *clientv3.Client, leases []held, timeout time.Duration) {
	var revoking sync.WaitGroup
	for _, l := range leases {
		if l.lease != 0 {
			revoking.Go(func() {
				within(ctx, timeout, func(ctx context.Context) (*clientv3.LeaseRevokeResponse, error) { return client.Revoke(ctx, l.lease) })
			})
		}
	}
	revoking.Wait()
}

// within makes one request with the timeout d.
func within[T any](ctx context.Context, d time.Duration, request func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return request(ctx)
}
