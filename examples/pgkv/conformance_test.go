package pgkv_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/examples/pgkv"
	"github.com/watchkv/watchkv/kv"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Backend{
		Open: func(t conformance.T) conformance.Store { return open(t, shared, "conformance") },
		Again: func(t conformance.T, s conformance.Store) conformance.Store {
			return open(t, shared, s.(*opened).schema)
		},
		Commit: true,
		Compact: func(ctx context.Context, s conformance.Store, rev kv.Revision) error {
			return s.(*opened).Compact(ctx, rev)
		},
		Progress: func(ctx context.Context, s conformance.Store) error {
			return s.(*opened).RequestProgress(ctx)
		},
		Cut: func(ctx context.Context, s conformance.Store) (func(context.Context) error, error) {
			o := s.(*opened)
			o.faulted = true
			o.link.Swallow()
			return func(ctx context.Context) error {
				o.link.Heal()
				return o.usable(ctx)
			}, nil
		},
		EndStreams: func(ctx context.Context, s conformance.Store) error {
			o := s.(*opened)
			o.faulted = true
			o.link.Drop()
			return o.usable(ctx)
		},
		Backup: func(ctx context.Context, s conformance.Store) (func(context.Context) error, error) {
			return s.(*opened).backup(ctx)
		},
		WaitIdle: func(ctx context.Context, s conformance.Store) error {
			return until(ctx, func() (bool, error) {
				n, err := s.(*opened).followers(ctx)
				return n <= 0, fmt.Errorf("%d connections that follow changes: %v", n, err)
			})
		},
		Close: func(s conformance.Store) error {
			s.(*opened).Close()
			return nil
		},
		TooLarge: pgkv.MaxWrite + 1,
	})
}
