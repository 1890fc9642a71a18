package kv_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

// A mirror of a prefix. It reads the prefix and watches after the revision of the read. When the history in between is gone
// or was replaced, it reads the prefix again.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store := memory.New()
	store.Put(ctx, "/members/a", []byte("10.0.0.1"))
	store.Put(ctx, "/members/b", []byte("10.0.0.2"))

	mirror := func(changed func(members map[string]string)) error {
		for {
			snapshot, err := store.Get(ctx, kv.Prefix("/members/"))
			if err != nil {
				return err
			}
			members := make(map[string]string)
			for _, entry := range snapshot.Entries {
				members[entry.Key] = string(entry.Value)
			}
			changed(members)

			for batch, err := range store.Watch(ctx, kv.Prefix("/members/"), snapshot.Revision) {
				if errors.Is(err, kv.ErrCompacted) || errors.Is(err, kv.ErrReset) {
					break
				}
				if err != nil {
					return err
				}
				for _, event := range batch.Events {
					if event.Type == kv.EventDelete {
						delete(members, event.Key)
					} else {
						members[event.Key] = string(event.Value)
					}
				}
				changed(members)
			}
		}
	}

	// Each change that the mirror sees triggers the next change.
	next := []func(){
		func() { store.Put(ctx, "/members/c", []byte("10.0.0.3")) },
		func() { store.Delete(ctx, "/members/a") },
		cancel,
	}
	err := mirror(func(members map[string]string) {
		fmt.Println(members)
		next[0]()
		next = next[1:]
	})
	fmt.Println(err)
	// Output:
	// map[/members/a:10.0.0.1 /members/b:10.0.0.2]
	// map[/members/a:10.0.0.1 /members/b:10.0.0.2 /members/c:10.0.0.3]
	// map[/members/b:10.0.0.2 /members/c:10.0.0.3]
	// kv/memory: watch "/members/"* after 3: context canceled
}

func ExampleGetKey() {
	ctx := context.Background()
	store := memory.New()
	store.Put(ctx, "/a", []byte("1"))

	entry, err := kv.GetKey(ctx, store, "/a")
	fmt.Println(string(entry.Value), entry.ModRevision, err)

	_, err = kv.GetKey(ctx, store, "/b")
	fmt.Println(err, errors.Is(err, kv.ErrNotFound))
	// Output:
	// 1 2 <nil>
	// kv: get "/b": key not found true
}

func TestGetKeyReturnsTheStoresError(t *testing.T) {
	leaktest.Check(t)
	store := memory.New()
	if _, err := kv.GetKey(t.Context(), store, ""); !errors.Is(err, kv.ErrInvalidKey) || errors.Is(err, kv.ErrNotFound) {
		t.Errorf("the empty key: %v", err)
	}
	store.Close()
	if _, err := kv.GetKey(t.Context(), store, "/a"); !errors.Is(err, kv.ErrClosed) || errors.Is(err, kv.ErrNotFound) {
		t.Errorf("a closed store: %v", err)
	}
}
