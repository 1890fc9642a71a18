package conformance_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

// In the test file of a store, this is all there is to write.
func ExampleRun() {
	TestConformance := func(t *testing.T) {
		conformance.Run(t, conformance.Backend{
			Open:   func(conformance.T) conformance.Store { return memory.New() },
			Commit: true,
			Compact: func(ctx context.Context, s conformance.Store, rev kv.Revision) error {
				return s.(*memory.Store).Compact(ctx, rev)
			},
		})
	}
	_ = TestConformance
}

// A program can check a store as well, and choose what to check.
func ExampleCheck() {
	err := conformance.Check(context.Background(), conformance.Backend{
		Open: func(conformance.T) conformance.Store { return memory.New() },
	}, "S1", "W6/every-batch")
	fmt.Println(err)
	// Output: <nil>
}
