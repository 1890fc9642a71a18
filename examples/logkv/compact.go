package logkv

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/watchkv/watchkv/kv"
)

// Compact removes the changes before rev from the history. The current entries stay.
func (s *Store) Compact(ctx context.Context, rev kv.Revision) error {
	err := s.alone(ctx, func(l *log) error {
		before, err := openLog(s.path, max(l.Revision, rev-1))
		if err != nil {
			return err
		}
		defer before.file.Close()
		text := line(before.snapshot())
		kept, err := io.ReadAll(io.NewSectionReader(before.file, before.end, math.MaxInt64-before.end))
		if err != nil {
			return err
		}
		return replace(s.path, append(text, kept...))
	})
	return failures.Op(ctx, fmt.Sprintf("compact before %d", rev), err)
}

// Backup writes the contents of the store to w.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	err := s.alone(ctx, func(l *log) error {
		_, err := w.Write(line(l.snapshot()))
		return err
	})
	return failures.Op(ctx, "backup", err)
}

// Restore replaces the entries of the store by those of a backup. Watches end with [kv.ErrReset]. Revisions continue to rise, so
// no revision of the new history is also one of the old history.
func (s *Store) Restore(ctx context.Context, backup io.Reader) error {
	err := s.alone(ctx, func(l *log) error {
		h, _, err := readHeader(backup)
		if err != nil {
			return err
		}
		h.Revision = max(l.last, h.Revision) + 1
		h.Restored = h.Revision
		return replace(s.path, line(h))
	})
	return failures.Op(ctx, "restore", err)
}

// replace replaces the log at path by text, in one step and durably.
func replace(path string, text []byte) error {
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync() // otherwise a crash may undo the rename and lose later writes
}
