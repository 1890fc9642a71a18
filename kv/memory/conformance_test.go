package memory_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestConformance(t *testing.T) {
	leaktest.Check(t)
	type store = conformance.Store
	of := func(s store) *memory.Store { return s.(*memory.Store) }
	conformance.Run(t, conformance.Backend{
		Open:     func(conformance.T) store { return memory.New() },
		Again:    func(_ conformance.T, s store) store { return s },
		Commit:   true,
		Compact:  func(ctx context.Context, s store, rev kv.Revision) error { return of(s).Compact(ctx, rev) },
		Progress: func(ctx context.Context, s store) error { return of(s).RequestProgress(ctx) },
		Backup: func(_ context.Context, s store) (func(context.Context) error, error) {
			backup := of(s).Backup()
			return func(context.Context) error { return of(s).Restore(backup) }, nil
		},
		WaitIdle: func(_ context.Context, s store) error {
			if n := of(s).Watches(); n > 0 {
				return fmt.Errorf("%d watches are running", n)
			}
			return nil
		},
		Close:    func(s store) error { return of(s).Close() },
		TooLarge: 2 << 20,
	})
}
