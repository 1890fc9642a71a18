package etcdtest

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// skipHole moves f to the first data at or after offset, or to its end if there is none, and returns where that is.
func skipHole(f *os.File, offset int64) (int64, error) {
	const seekData = 3
	at, err := f.Seek(offset, seekData)
	switch {
	case errors.Is(err, syscall.ENXIO): // only a hole follows
		return f.Seek(0, io.SeekEnd)
	case errors.Is(err, syscall.EINVAL), errors.Is(err, errors.ErrUnsupported): // the file system does not know
		return f.Seek(offset, io.SeekStart)
	}
	return at, err
}
