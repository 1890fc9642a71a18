package lastknown_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/value/lastknown"
)

// disk is a file system in memory. Like a real one, it may lose everything that was not flushed: after a crash, it is in one of the states of
// [disk.crashes]. A test can make it fail, or stop the machine, at a chosen step.
type disk struct {
	names   map[string]*inode // the files as programs see them
	flushed map[string]*inode // the files as the disk has them
	pending []change          // changes of names since the last flush

	steps  int
	trace  []string
	failAt int // the step that fails; zero for no step
	failed error
	stopAt int // the step at which the machine stops; zero for never
	temps  int
}

// inode is a file. Bytes after flushed may be on the disk or not.
type inode struct {
	data    []byte
	flushed []byte
}

// change gives a name to a file. With a nil file, it removes the name.
type change struct {
	name string
	file *inode
}

func newDisk() *disk {
	return &disk{names: make(map[string]*inode), flushed: make(map[string]*inode)}
}

// errStopped is the error of each call after the machine has stopped. Such calls have no effect.
var errStopped = errors.New("the machine has stopped")

func (d *disk) step(what string) error {
	if d.steps++; d.stopAt > 0 && d.steps >= d.stopAt {
		return errStopped
	}
	if d.trace = append(d.trace, what); d.failAt == d.steps {
		return d.failed
	}
	return nil
}

func (d *disk) MakeDir(string) error { return d.step("make the directory") }

func (d *disk) CreateTemp(dir, pattern string) (lastknown.TempFile, error) {
	if err := d.step("create"); err != nil {
		return nil, err
	}
	d.temps++
	f := &openFile{disk: d, inode: new(inode), name: filepath.Join(dir, strings.Replace(pattern, "*", fmt.Sprint(d.temps), 1))}
	d.change(f.name, f.inode)
	return f, nil
}

func (d *disk) change(name string, file *inode) {
	if d.pending = append(d.pending, change{name, file}); file == nil {
		delete(d.names, name)
	} else {
		d.names[name] = file
	}
}

func (d *disk) Rename(from, to string) error {
	if err := d.step("rename"); err != nil {
		return err
	}
	file := d.names[from]
	d.change(to, file)
	d.change(from, nil)
	return nil
}

func (d *disk) Remove(name string) error {
	if err := d.step("remove"); err != nil {
		return err
	}
	d.change(name, nil)
	return nil
}

func (d *disk) SyncDir(string) error {
	if err := d.step("flush the directory"); err != nil {
		return err
	}
	d.flushed, d.pending = maps.Clone(d.names), nil
	return nil
}

func (d *disk) ReadFile(name string, _ func([]byte, int64) error) ([]byte, error) {
	if f := d.names[name]; f != nil {
		return bytes.Clone(f.data), nil
	}
	return nil, fs.ErrNotExist
}

func (d *disk) OlderThan(string, string, time.Time) ([]string, error) { return nil, nil }

// openFile writes in two parts, which an operating system may do too.
type openFile struct {
	*inode
	disk *disk
	name string
}

func (f *openFile) Name() string { return f.name }

func (f *openFile) Write(b []byte) (int, error) {
	half := len(b) / 2
	for i, part := range [][]byte{b[:half], b[half:]} {
		if err := f.disk.step("write"); err != nil {
			return i * half, err
		}
		f.data = append(f.data, part...)
	}
	return len(b), nil
}

func (f *openFile) Sync() error {
	if err := f.disk.step("flush"); err != nil {
		return err
	}
	f.flushed = bytes.Clone(f.data)
	return nil
}

func (f *openFile) Close() error { return f.disk.step("close") }

// crashes returns every state of the disk that is possible after a crash now. Each change of a name has happened or not, independently of the
// others. Of each file that was not flushed, there may be nothing, a part, or zeros.
func (d *disk) crashes() []*disk {
	var all []*disk
	for happened := range 1 << len(d.pending) {
		names := maps.Clone(d.flushed)
		for i, c := range d.pending {
			if happened&(1<<i) == 0 {
				continue
			}
			if c.file == nil {
				delete(names, c.name)
			} else {
				names[c.name] = c.file
			}
		}
		for state := range 6 {
			found := newDisk()
			for name, file := range names {
				data := file.afterCrash(state)
				found.names[name] = &inode{data: data, flushed: data}
			}
			found.flushed = maps.Clone(found.names)
			all = append(all, found)
		}
	}
	return all
}

func (f *inode) afterCrash(state int) []byte {
	if bytes.Equal(f.flushed, f.data) {
		return f.data
	}
	more := f.data[len(f.flushed):]
	switch state {
	case 0:
		more = nil
	case 1:
		more = more[:len(more)/3]
	case 2:
		more = make([]byte, len(more))
	case 3:
		more = append(slices.Clone(more[:len(more)/2]), make([]byte, len(more)-len(more)/2)...)
	case 4:
		more = more[:len(more)-1]
	}
	return append(slices.Clone(f.flushed), more...)
}
