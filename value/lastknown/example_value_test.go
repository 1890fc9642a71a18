package lastknown_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
	"github.com/watchkv/watchkv/value/lastknown"
)

// A program starts while its store is down. It uses what it knew when it ran last.
func ExampleOf() {
	ctx := context.Background()
	path, err := os.MkdirTemp("", "lastknown")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(path)
	store := fault.New(memory.New())
	store.Put(ctx, "/app/limit", []byte("10"))

	run := func() {
		saved := lastknown.Of(lastknown.NewDir(path), []byte("production"))
		limit := value.New(store, "/app/limit", value.JSON[int],
			value.WithLastKnown(saved, 10*time.Millisecond)) // in production, some seconds
		w := limit.Watch()
		defer w.Close() // waits until the value is saved
		v, err := w.Get(ctx)
		reading, _ := limit.Latest()
		fmt.Println(v, err, "last known:", reading.LastKnown)
	}
	run()
	store.Cut() // from now on the store does not answer
	run()
	// Output:
	// 10 <nil> last known: false
	// 10 <nil> last known: true
}
