//go:build !linux

package etcdtest

import (
	"io"
	"os"
)

func skipHole(f *os.File, offset int64) (int64, error) { return f.Seek(offset, io.SeekStart) }
