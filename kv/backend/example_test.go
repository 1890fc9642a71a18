package backend_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

// journal is a storage: a list of changes, each of which is one revision.
type journal struct {
	mu      sync.Mutex
	changes []kv.Event
	grown   chan struct{} // closed, and replaced, when there is more
}

func (j *journal) put(key, value string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	rev := kv.Revision(len(j.changes) + 1)
	j.changes = append(j.changes, kv.Event{Entry: kv.Entry{Key: key, Value: []byte(value), CreateRevision: rev, ModRevision: rev, Version: 1}})
	close(j.grown)
	j.grown = make(chan struct{})
}

// Watch is that of a kv.Store.
func (j *journal) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return backend.Watch{Log: j, Errors: backend.Errors{Store: "journal"}}.Batches(ctx, r, after)
}

// Read implements backend.Log.
func (j *journal) Read(_ context.Context, after kv.Revision) (backend.Page, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	page := backend.Page{UpTo: kv.Revision(len(j.changes))}
	if after < page.UpTo {
		page.Events = slices.Clone(j.changes[after:])
	}
	return page, nil
}

// Wait implements backend.Log.
func (j *journal) Wait(ctx context.Context, after kv.Revision) error {
	j.mu.Lock()
	grown, last := j.grown, kv.Revision(len(j.changes))
	j.mu.Unlock()
	if last > after {
		return nil
	}
	select {
	case <-grown:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func Example() {
	j := &journal{grown: make(chan struct{})}
	j.put("limits", "10")
	j.put("motd", "hello")
	for batch, err := range j.Watch(context.Background(), kv.Key("limits"), 0) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(batch.Revision, len(batch.Events))
		if batch.IsBookmark() {
			break
		}
	}
	// Output:
	// 1 1
	// 2 0
}
