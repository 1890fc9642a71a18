// Package shop is a small program that keeps its state in etcd. Its tests are the recipes of docs/testing-your-app.md. Copy from them.
package shop

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/value"
)

// A Shop sells what it has in stock.
type Shop struct {
	client *clientv3.Client
	limits *value.Value[Limits]
	stop   func()
}

// Limits are kept as JSON at /shop/limits.
type Limits struct {
	PerOrder int `json:"per_order"`
}

// maxAge limits how long ago etcd confirmed the limits. The shop does not act on older ones.
const maxAge = 5 * time.Minute

var (
	ErrSoldOut  = errors.New("sold out")
	ErrTooMany  = errors.New("more than an order may have")
	ErrOutdated = errors.New("the limits have not been confirmed for too long")
)

// Config is how the clients of the program are configured.
func Config(endpoints []string) clientv3.Config {
	return etcd.KeepAlive(clientv3.Config{Endpoints: endpoints})
}

// Open returns a shop, which must be closed. Close does not close the client.
func Open(client *clientv3.Client) *Shop {
	s := &Shop{client: client}
	s.limits = value.New(etcd.New(client), "/shop/limits", value.JSON[Limits],
		value.WithDefault(Limits{PerOrder: 1})) // while the key does not exist
	s.stop = s.limits.KeepCurrent()
	return s
}

// Close ends the watch of the limits.
func (s *Shop) Close() { s.stop() }

// Sell takes n of an item out of the stock, at /shop/stock/item. If it fails with an error of etcd's client, the items may have been taken
// or not.
func (s *Shop) Sell(ctx context.Context, item string, n int) error {
	limits, ok := s.limits.Latest()
	switch {
	case !ok || limits.Age() > maxAge:
		return ErrOutdated
	case n > limits.Value.PerOrder:
		return ErrTooMany
	}
	for {
		done, err := s.take(ctx, "/shop/stock/"+item, n)
		if done || err != nil {
			return err
		}
	}
}

// take subtracts n from the number at key. It returns false if another client has changed the number concurrently.
func (s *Shop) take(ctx context.Context, key string, n int) (done bool, err error) {
	r, err := s.client.Get(ctx, key)
	if err != nil {
		return false, err
	}
	if len(r.Kvs) == 0 {
		return false, ErrSoldOut
	}
	left, err := strconv.Atoi(string(r.Kvs[0].Value))
	if err != nil {
		return false, fmt.Errorf("shop: the stock at %s: %w", key, err)
	}
	if left < n {
		return false, ErrSoldOut
	}
	txn, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", r.Kvs[0].ModRevision)).
		Then(clientv3.OpPut(key, strconv.Itoa(left-n))).
		Commit()
	if err != nil {
		return false, err
	}
	return txn.Succeeded, nil
}
