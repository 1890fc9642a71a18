package logkv_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/watchkv/watchkv/examples/logkv"
	"github.com/watchkv/watchkv/value"
)

func Example() {
	dir, err := os.MkdirTemp("", "logkv")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := logkv.Open(filepath.Join(dir, "log"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	ctx := context.Background()
	w := value.New(store, "greeting", value.String).Watch()
	defer w.Close()
	for _, text := range []string{"hello", "hello again"} {
		store.Put(ctx, "greeting", []byte(text))
		fmt.Println(w.Get(ctx))
	}
	// Output:
	// hello <nil>
	// hello again <nil>
}
