package logkv

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/watchkv/watchkv/conformance"
	"github.com/watchkv/watchkv/kv"
)

func TestConformance(t *testing.T) {
	open := func(c conformance.T, path string) conformance.Store {
		s, err := Open(path)
		if err != nil {
			c.Fatalf("%v", err)
		}
		c.Cleanup(func() { s.Close() })
		return s
	}
	conformance.Run(t, conformance.Backend{
		Open: func(c conformance.T) conformance.Store {
			return open(c, filepath.Join(t.TempDir(), "log"))
		},
		Again: func(c conformance.T, s conformance.Store) conformance.Store {
			return open(c, s.(*Store).path)
		},
		Commit: true,
		Compact: func(ctx context.Context, s conformance.Store, rev kv.Revision) error {
			return s.(*Store).Compact(ctx, rev)
		},
		Progress: func(ctx context.Context, s conformance.Store) error {
			_, err := s.Put(ctx, "progress", nil) // watches of other keys yield a bookmark for this write
			return err
		},
		Backup: func(ctx context.Context, s conformance.Store) (func(context.Context) error, error) {
			var backup bytes.Buffer
			err := s.(*Store).Backup(ctx, &backup)
			return func(ctx context.Context) error { return s.(*Store).Restore(ctx, &backup) }, err
		},
		// A watch reads the file. No server holds anything for it.
		WaitIdle: func(context.Context, conformance.Store) error { return nil },
		Close:    func(s conformance.Store) error { return s.(*Store).Close() },
		TooLarge: MaxValue + 1,
	})
}
