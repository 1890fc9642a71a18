package shop

import (
	"errors"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// The code under test is not changed. Its client comes from a cluster in memory, and not from clientv3.New.
func TestTheLastItemIsSoldOnce(t *testing.T) {
	leaktest.Check(t)
	client := etcdmem.Start(t, 3).Client()

	if _, err := client.Put(t.Context(), "/shop/stock/pen", "1"); err != nil {
		t.Fatal(err)
	}
	shop := Open(client)
	defer shop.Close()
	waitForLimits(t, shop)
	results := make(chan error)
	for range 2 {
		go func() { results <- shop.Sell(t.Context(), "pen", 1) }()
	}
	first, second := <-results, <-results
	if first != nil {
		first, second = second, first
	}
	if first != nil || !errors.Is(second, ErrSoldOut) {
		t.Errorf("two customers want the last pen: %v and %v; want one sale, and one %v", first, second, ErrSoldOut)
	}
}

// waitForLimits waits until the shop knows its limits, for tests that are not in a bubble.
func waitForLimits(t *testing.T, shop *Shop) {
	t.Helper()
	w := shop.limits.Watch()
	defer w.Close()
	if _, err := w.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
}
