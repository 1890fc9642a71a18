package lastknown_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value/lastknown"
)

// A program saves what it has read. It loads that when it starts and its store does not answer.
func Example() {
	ctx := context.Background()
	path, err := os.MkdirTemp("", "lastknown")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(path)
	saved := lastknown.NewDir(path)

	limits := kv.Key("/app/limits")
	if _, err := saved.Load(ctx, limits); errors.Is(err, lastknown.ErrNothingSaved) {
		fmt.Println("nothing saved yet")
	}

	store := memory.New()
	store.Put(ctx, "/app/limits", []byte(`{"rps":10}`))
	snapshot, err := store.Get(ctx, limits)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := saved.Save(ctx, lastknown.Record{Range: limits, Snapshot: snapshot}); err != nil {
		fmt.Println(err) // the previous record is still there
	}

	record, err := saved.Load(ctx, limits)
	if err != nil {
		fmt.Println(err) // then wait for the store
		return
	}
	for _, e := range record.Snapshot.Entries {
		fmt.Printf("%s at revision %d: %s\n", e.Key, e.ModRevision, e.Value)
	}
	// Output:
	// nothing saved yet
	// /app/limits at revision 2: {"rps":10}
}
