// Package workload has concurrent clients that use a store while a history is recorded.
package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/property_test/internal/history"
)

// A Workload is some clients that read, write and delete a few keys, one or two at a time, with and without conditions.
type Workload struct {
	Stores     []history.Store // one for each client
	Prefix     string          // the prefix of all keys
	Seed       uint64
	Operations int           // the most operations of a client
	Timeout    time.Duration // the timeout of an operation
	Pause      time.Duration // the average pause between two operations
}

// keys is small, so that clients use the same keys.
const keys = 4

// Run runs until all clients have made their operations or ctx is done. Then it waits for the pending operations.
func (w Workload) Run(ctx context.Context, recorder *history.Recorder) {
	var clients sync.WaitGroup
	for i, store := range w.Stores {
		c := &client{
			Workload: w,
			number:   i,
			store:    store,
			recorder: recorder,
			random:   rand.New(rand.NewPCG(w.Seed, uint64(i))),
			known:    make(map[string]kv.Revision),
		}
		clients.Go(func() { c.run(ctx) })
	}
	clients.Wait()
}

// client is one client of a Workload.
type client struct {
	Workload
	number   int
	store    history.Store
	recorder *history.Recorder
	random   *rand.Rand
	values   int                    // how many values it has made
	known    map[string]kv.Revision // the mod revision of each key, as far as the client knows
}

func (c *client) run(ctx context.Context) {
	for range c.Operations {
		c.operate()
		if c.Pause == 0 {
			if ctx.Err() != nil {
				return
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(c.random.Int64N(2 * int64(c.Pause)))):
		}
	}
}

// operate makes one operation. The recorder notes the outcome.
func (c *client) operate() {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	key := c.key()
	switch n := c.random.IntN(100); {
	case n < 25:
		c.read(ctx, kv.Key(key))
	case n < 40:
		c.read(ctx, kv.Prefix(c.Prefix))
	case n < 50:
		c.write(ctx, kv.PutOp(key, c.value()))
	case n < 75:
		c.write(ctx, kv.PutOp(key, c.value(), kv.IfRevision(c.known[key])))
	case n < 80:
		c.write(ctx, kv.PutOp(key, c.value(), kv.IfAbsent()))
	case n < 85:
		c.write(ctx, kv.DeleteOp(key))
	case n < 90:
		c.write(ctx, kv.DeleteOp(key, kv.IfRevision(c.known[key])))
	default:
		c.writeTwo(ctx, key)
	}
}

// writeTwo changes two keys in one revision.
func (c *client) writeTwo(ctx context.Context, key string) {
	other := c.key()
	if other == key {
		c.write(ctx, kv.PutOp(key, c.value()))
		return
	}
	first := kv.PutOp(key, c.value())
	if c.random.IntN(2) == 0 {
		first.Conditions = []kv.Condition{kv.IfRevision(c.known[key])}
	}
	if c.random.IntN(4) == 0 {
		c.write(ctx, first, kv.DeleteOp(other))
	} else {
		c.write(ctx, first, kv.PutOp(other, c.value()))
	}
}

func (c *client) read(ctx context.Context, r kv.Range) {
	got, err := c.recorder.Get(ctx, c.store, c.number, r)
	if err != nil {
		return
	}
	for key := range c.known {
		if r.Contains(key) {
			delete(c.known, key)
		}
	}
	for _, e := range got.Entries {
		c.known[e.Key] = e.ModRevision
	}
}

func (c *client) write(ctx context.Context, ops ...kv.Op) {
	rev, err := c.recorder.Commit(ctx, c.store, c.number, ops...)
	if err != nil {
		return
	}
	for _, op := range ops {
		c.known[op.Key] = rev
		if op.Type == kv.EventDelete {
			delete(c.known, op.Key)
		}
	}
}

func (c *client) key() string { return fmt.Sprintf("%sk%d", c.Prefix, c.random.IntN(keys)) }

// value returns a value that no other client puts.
func (c *client) value() []byte {
	c.values++
	return fmt.Appendf(nil, "%d.%d", c.number, c.values)
}
