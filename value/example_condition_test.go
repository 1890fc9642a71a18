package value_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// The key does not exist yet. The write creates it, unless another writer has created it in the meantime.
func ExampleReading_Condition() {
	ctx := context.Background()
	store := memory.New()
	limit := value.New(store, "/limit", value.JSON[int], value.WithDefault(10))
	w := limit.Watch()
	defer w.Close()
	w.Get(ctx)

	reading, _ := limit.Latest()
	next := fmt.Sprint(reading.Value + 1)
	_, err := store.Put(ctx, "/limit", []byte(next), reading.Condition())
	fmt.Println(next, err)

	_, err = store.Put(ctx, "/limit", []byte(next), reading.Condition())
	fmt.Println("again: conflict", errors.Is(err, kv.ErrConflict))
	// Output:
	// 11 <nil>
	// again: conflict true
}
