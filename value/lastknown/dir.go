package lastknown

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Dir is a [Store] that keeps each record in a file of one directory. Its methods may be called concurrently, and other processes
// may use the same directory. The package documentation says what it promises.
type Dir struct {
	path  string
	files fileSystem

	mu    sync.Mutex
	swept time.Time // when the files of killed processes were looked for last
}

var _ Store = (*Dir)(nil)

// NewDir returns the store in the directory at path. The first Save makes the directory if it does not exist.
func NewDir(path string) *Dir { return &Dir{path: path, files: osFiles{}} }

// File returns the path of the file that holds the record of r. The file may not exist.
func (d *Dir) File(r kv.Range) string { return filepath.Join(d.path, fileName(r)) }

const (
	suffix    = ".lastknown"
	temporary = ".tmp"

	longestStem = 40
	sweepAfter  = time.Hour
)

// fileName is unique for the keys of r: also where a file system does not tell upper case from lower, and has reserved names.
func fileName(r kv.Range) string {
	from, to, bounded := r.Bounds()
	whole := binary.AppendUvarint(nil, uint64(len(from)))
	whole = append(whole, from...)
	if bounded {
		whole = append(append(whole, 1), to...)
	}
	sum := sha256.Sum256(whole)
	return stem(from) + hex.EncodeToString(sum[:16]) + suffix
}

// stem is what a person recognizes of a key.
func stem(key string) string {
	var b strings.Builder
	for _, c := range []byte(key) {
		if b.Len() == longestStem {
			break
		}
		switch {
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c - 'A' + 'a')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_':
			b.WriteByte(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	if s := strings.TrimSuffix(b.String(), "-"); s != "" {
		return s + "-"
	}
	return ""
}

// Load returns the record of r that was saved last. The error matches [ErrNothingSaved] if there is no file, and [ErrDamaged] or
// [ErrForeign] if the file cannot be believed. The file stays as it is.
func (d *Dir) Load(ctx context.Context, r kv.Range) (Record, error) {
	if err := errors.Join(ctx.Err(), r.Validate()); err != nil {
		return Record{}, d.failed("load", r, err)
	}
	file, err := d.files.ReadFile(d.File(r), checkStart)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrNothingSaved, err)
	}
	if err != nil {
		return Record{}, d.failed("load", r, err)
	}
	record, err := decode(file, r)
	if err != nil {
		return Record{}, d.failed("load", r, fmt.Errorf("%s: %w", d.File(r), err))
	}
	return record, nil
}

// Save keeps the record. It returns when the record is on the disk, which takes some milliseconds or more. ctx is looked at before
// that, and does not interrupt it.
func (d *Dir) Save(ctx context.Context, record Record) error {
	if err := ctx.Err(); err != nil {
		return d.failed("save", record.Range, err)
	}
	if err := record.validate(); err != nil {
		return d.failed("save", record.Range, fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	if record.Time.IsZero() {
		record.Time = time.Now()
	}
	file, err := encode(record)
	if err != nil {
		return d.failed("save", record.Range, fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	if err := d.replace(fileName(record.Range), file); err != nil {
		return d.failed("save", record.Range, err)
	}
	d.sweep()
	return nil
}

// replace puts content in the place of the file name, so that a reader finds the one before or this one, also after a crash at any
// moment. For that, the content has to be on the disk before it has its name, and the name before replace returns.
func (d *Dir) replace(name string, content []byte) (err error) {
	if err := d.files.MakeDir(d.path); err != nil {
		return err
	}
	path := filepath.Join(d.path, name)
	f, err := d.files.CreateTemp(d.path, name+".*"+temporary)
	if err != nil {
		return about(path, err)
	}
	defer func() {
		if err != nil {
			d.files.Remove(f.Name()) // best effort: sweep finds it later
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return about(path, err)
	}
	if err := d.files.Rename(f.Name(), path); err != nil {
		return about(path, err)
	}
	return d.files.SyncDir(d.path)
}

// sweep removes the files of saves that never ended. A file that another process is writing now is younger. A file that is too young now
// is found by a later sweep.
func (d *Dir) sweep() {
	d.mu.Lock()
	due := time.Since(d.swept) >= sweepAfter
	if due {
		d.swept = time.Now()
	}
	d.mu.Unlock()
	if !due {
		return
	}
	names, err := d.files.OlderThan(d.path, "*"+suffix+".*"+temporary, time.Now().Add(-sweepAfter))
	if err != nil {
		return
	}
	for _, name := range names {
		d.files.Remove(name)
	}
}

func (d *Dir) failed(op string, r kv.Range, err error) error {
	return fmt.Errorf("lastknown: %s %.256s: %w", op, r.String(), err)
}
