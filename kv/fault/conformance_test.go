package fault_test

import (
	"context"
	"errors"
	"testing"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// faulty is a fault.Store and the store that it wraps.
type faulty struct {
	*fault.Store
	memory *memory.Store
}

// Without faults the wrapper keeps the contract if its store does. It also keeps it with a cut or an ended stream.
func TestConformance(t *testing.T) {
	leaktest.Check(t)
	type store = conformance.Store
	inside := func(s store) *memory.Store {
		if f, ok := s.(faulty); ok {
			return f.memory
		}
		return s.(*memory.Store)
	}
	conformance.Run(t, conformance.Backend{
		Open: func(conformance.T) store {
			m := memory.New()
			return faulty{fault.New(m), m}
		},
		Again:    func(_ conformance.T, s store) store { return inside(s) },
		Commit:   true,
		Compact:  func(ctx context.Context, s store, rev kv.Revision) error { return inside(s).Compact(ctx, rev) },
		Progress: func(ctx context.Context, s store) error { return inside(s).RequestProgress(ctx) },
		Cut: func(_ context.Context, s store) (func(context.Context) error, error) {
			s.(faulty).Cut()
			return func(context.Context) error { s.(faulty).Heal(); return nil }, nil
		},
		EndStreams: func(_ context.Context, s store) error {
			s.(faulty).EndStreams(kv.ErrUnavailable)
			return nil
		},
		Backup: func(_ context.Context, s store) (func(context.Context) error, error) {
			backup := inside(s).Backup()
			return func(context.Context) error { return inside(s).Restore(backup) }, nil
		},
		WaitIdle: func(_ context.Context, s store) error {
			if inside(s).Watches() > 0 || s.(faulty).Counts().Streams > 0 {
				return errors.New("watches are running: " + s.(faulty).Counts().String())
			}
			return nil
		},
		Close:    func(s store) error { return inside(s).Close() },
		TooLarge: 2 << 20,
	})
}
