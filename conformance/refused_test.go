package conformance_test

import (
	"context"
	"testing"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// refusing is a store that knows at once that it is cut off: calls fail, and running watches end, where others hang.
type refusing struct {
	*fault.Store
	memory *memory.Store
}

func (s refusing) endStreams() {
	s.EndStreams(&kv.OpError{Store: "refusing", Op: "watch", Reason: kv.ErrUnavailable})
}

func TestAStoreThatFailsAtOnceWhenCutOffKeepsAllGuarantees(t *testing.T) {
	on := func(m *memory.Store) conformance.Store { return refusing{fault.New(m), m} }
	b := conformance.Backend{
		Open:   func(conformance.T) conformance.Store { return on(memory.New()) },
		Again:  func(_ conformance.T, s conformance.Store) conformance.Store { return on(s.(refusing).memory) },
		Commit: true,
		Compact: func(ctx context.Context, s conformance.Store, rev kv.Revision) error {
			return s.(refusing).memory.Compact(ctx, rev)
		},
		Cut: func(_ context.Context, s conformance.Store) (func(context.Context) error, error) {
			refuse := s.(refusing).Fail(-1, kv.ErrUnavailable)
			s.(refusing).endStreams()
			return func(context.Context) error { refuse.Remove(); return nil }, nil
		},
		EndStreams: func(_ context.Context, s conformance.Store) error {
			s.(refusing).endStreams()
			return nil
		},
	}
	if err := conformance.Check(t.Context(), b); err != nil {
		t.Error(err)
	}
	for range 50 { // where the end of a context and the cut meet
		if err := conformance.Check(t.Context(), b, "W12/cut-off"); err != nil {
			t.Fatal(err)
		}
	}
}
