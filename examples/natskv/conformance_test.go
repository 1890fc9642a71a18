package natskv_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv"
)

func TestConformance(t *testing.T) {
	server := startServer(t)
	var buckets atomic.Int64
	conformance.Run(t, conformance.Backend{
		Open: func(t conformance.T) conformance.Store {
			return open(t, server, fmt.Sprint("b", buckets.Add(1)))
		},
		Again: func(t conformance.T, s conformance.Store) conformance.Store {
			return open(t, server, s.(*opened).bucket)
		},
		Compact: func(ctx context.Context, s conformance.Store, rev kv.Revision) error {
			return s.(*opened).Compact(ctx, rev)
		},
		Progress: func(ctx context.Context, s conformance.Store) error {
			return s.(*opened).Progress(ctx)
		},
		Cut: func(ctx context.Context, s conformance.Store) (func(context.Context) error, error) {
			o := s.(*opened)
			o.link.Swallow()
			return func(ctx context.Context) error {
				o.link.Heal()
				return o.usable(ctx)
			}, nil
		},
		EndStreams: func(ctx context.Context, s conformance.Store) error {
			o := s.(*opened)
			o.link.Drop()
			return o.usable(ctx)
		},
		Backup: func(ctx context.Context, s conformance.Store) (func(context.Context) error, error) {
			restore, err := server.backup(t.TempDir())
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) error {
				if err := restore(); err != nil {
					return err
				}
				return s.(*opened).usable(ctx)
			}, s.(*opened).usable(ctx)
		},
		WaitIdle: func(ctx context.Context, s conformance.Store) error {
			o := s.(*opened)
			return until(ctx, func() (bool, error) {
				stream, err := o.js.Stream(ctx, "KV_"+o.bucket)
				if err != nil {
					return false, err
				}
				n := stream.CachedInfo().State.Consumers
				return n == 0, fmt.Errorf("%d consumers", n)
			})
		},
		Close: func(s conformance.Store) error {
			s.(*opened).js.Conn().Close()
			return nil
		},
		TooLarge: 4 << 20,
	})
}
