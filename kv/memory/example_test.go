package memory_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

func Example() {
	ctx := context.Background()
	store := memory.New()
	defer store.Close()

	// The first write of a new store makes revision 2, as in etcd.
	rev, _ := store.Put(ctx, "/app/limits", []byte(`{"rps":10}`))
	fmt.Println("put at", rev)

	// Write only if no other write came in between.
	_, err := store.Put(ctx, "/app/limits", []byte(`{"rps":20}`), kv.IfRevision(rev))
	fmt.Println(err)
	_, err = store.Put(ctx, "/app/limits", []byte(`{"rps":30}`), kv.IfRevision(rev))
	fmt.Println(err)

	for batch, err := range store.Watch(ctx, kv.Prefix("/app/"), 0) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, event := range batch.Events {
			fmt.Println(event.Type, event.Key, string(event.Value), "version", event.Version)
		}
		break
	}
	// Output:
	// put at 2
	// <nil>
	// kv/memory: put "/app/limits": conflict: "/app/limits" is at revision 3, not 2
	// put /app/limits {"rps":10} version 1
	// put /app/limits {"rps":20} version 2
}

// A program under test meets a store whose history was compacted.
func ExampleStore_Compact() {
	ctx := context.Background()
	store := memory.New()
	store.Put(ctx, "/a", []byte("1"))
	store.Put(ctx, "/a", []byte("2"))
	rev, _ := store.Put(ctx, "/a", []byte("3"))
	if err := store.Compact(ctx, rev); err != nil {
		fmt.Println(err)
	}
	for _, err := range store.Watch(ctx, kv.Key("/a"), 1) {
		fmt.Println(err)
	}
	// Output:
	// kv/memory: watch "/a" after 1: history compacted: the oldest revision kept is 4
}

// A program under test meets a cluster that was restored from a backup.
func ExampleStore_Restore() {
	ctx := context.Background()
	store := memory.New()
	store.Put(ctx, "/a", []byte("old"))
	backup := store.Backup()
	store.Put(ctx, "/a", []byte("new"))

	for batch, err := range store.Watch(ctx, kv.Key("/a"), 2) {
		if errors.Is(err, kv.ErrReset) {
			fmt.Println(err)
			continue
		}
		fmt.Println("saw", string(batch.Events[0].Value), "at", batch.Revision)
		store.Restore(backup)
	}
	entry, _ := kv.GetKey(ctx, store, "/a")
	fmt.Println("it is", string(entry.Value), "at", entry.ModRevision)
	// Output:
	// saw new at 3
	// kv/memory: watch "/a" after 2: history replaced
	// it is old at 2
}
