package lastknown

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// fileSystem is what a Dir needs of one.
type fileSystem interface {
	// MakeDir makes a directory, and those that it is in, unless they exist.
	MakeDir(path string) error
	// CreateTemp makes a new file, which only its owner can read. The last star of pattern is replaced by something random.
	CreateTemp(dir, pattern string) (tempFile, error)
	// Rename gives a file another name. If another file has that name, it is replaced in one step.
	Rename(from, to string) error
	// SyncDir flushes the names in a directory to the disk.
	SyncDir(path string) error
	Remove(path string) error
	// ReadFile returns the content of a regular file. If check, which gets the first bytes of the file and its size, returns an error, ReadFile
	// reads no further and returns that error.
	ReadFile(path string, check func(start []byte, size int64) error) ([]byte, error)
	// OlderThan returns the paths of the files in a directory that match pattern and were not written since.
	OlderThan(dir, pattern string, since time.Time) ([]string, error)
}

type tempFile interface {
	io.WriteCloser
	Name() string
	Sync() error
}

// osFiles is the file system of the machine.
type osFiles struct{}

func (osFiles) MakeDir(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil // or what follows finds that it is no directory
	}
	if parent := filepath.Dir(path); parent != path {
		if err := (osFiles{}).MakeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return osFiles{}.SyncDir(filepath.Dir(path))
}

func (osFiles) CreateTemp(dir, pattern string) (tempFile, error) { return os.CreateTemp(dir, pattern) }

func (osFiles) Rename(from, to string) error { return os.Rename(from, to) }

func (osFiles) SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err // some file systems cannot, and say so with one of these
	}
	return nil
}

func (osFiles) Remove(path string) error { return os.Remove(path) }

func (osFiles) ReadFile(path string, check func(start []byte, size int64) error) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // to open a pipe would block
		return nil, fmt.Errorf("%s: %w: it is no regular file", path, ErrForeign)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil { // it may be another file by now
		return nil, err
	}
	start := make([]byte, min(info.Size(), longestHeader))
	n, err := readFull(f, start)
	if err != nil {
		return nil, err
	}
	if err := check(start[:n], info.Size()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	content := make([]byte, info.Size())
	copy(content, start[:n])
	more, err := readFull(f, content[n:])
	return content[:n+more], err
}

// readFull is [io.ReadFull] for a file that may have become shorter, which is no error.
func readFull(f *os.File, b []byte) (n int, err error) {
	n, err = io.ReadFull(f, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return n, err
}

func (osFiles) OlderThan(dir, pattern string, since time.Time) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var older []string
	for _, e := range entries {
		if matches, _ := filepath.Match(pattern, e.Name()); !matches {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().Before(since) {
			older = append(older, filepath.Join(dir, e.Name()))
		}
	}
	return older, err
}

// about returns err, of a temporary file, as an error of the file at path. A random name would make each of many equal errors another one, and
// whoever logs an error once would log them all.
func about(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: e.Op, Path: path, Err: e.Err}
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return &fs.PathError{Op: e.Op, Path: path, Err: e.Err}
	}
	return err
}
