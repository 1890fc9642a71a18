package lastknown_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/lastknown"
)

// record returns a record of r that holds the given keys, each with a value of the given size.
func record(r kv.Range, revision kv.Revision, size int, keys ...string) lastknown.Record {
	record := lastknown.Record{
		Range: r, Snapshot: kv.Snapshot{Revision: revision}, Cluster: []byte("cluster\x00\xff"), Time: time.Unix(1700000000, 123).UTC(),
	}
	for i, key := range keys {
		value := bytes.Repeat(fmt.Appendf(nil, "%d\xff", revision), size/2+1)[:size]
		record.Snapshot.Entries = append(record.Snapshot.Entries, kv.Entry{
			Key: key, Value: value, CreateRevision: 1, ModRevision: revision, Version: int64(i + 1),
		})
	}
	return record
}

func save(t *testing.T, s lastknown.Store, r lastknown.Record) {
	t.Helper()
	if err := s.Save(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func wantLoaded(t *testing.T, s lastknown.Store, want lastknown.Record) {
	t.Helper()
	got, err := s.Load(t.Context(), want.Range)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("saved:  %.1000v\nloaded: %.1000v, %v", want, got, err)
	}
}

// keys are difficult for file systems.
var keys = []string{
	"a", "A", "/", "//", "\x00", "\x00\x00", "\xff", "\xff\xff", ".", "..", "../../etc/passwd", "con", "CON", "nul.txt", "a.", "a ", "a\n", "a/b", "a-b",
	"ключ", strings.Repeat("k", 300), strings.Repeat("k", 301), strings.Repeat("\x00", 1<<20), "x.lastknown", "*?<>|:\"\\",
}

func TestARecordOfAnyKeyIsLoadedAsItWasSaved(t *testing.T) {
	dir := lastknown.NewDir(filepath.Join(t.TempDir(), "not", "yet", "there"))
	for i, key := range keys {
		save(t, dir, record(kv.Key(key), kv.Revision(i+1), 10, key))
	}
	for i, key := range keys {
		wantLoaded(t, dir, record(kv.Key(key), kv.Revision(i+1), 10, key))
	}
}

func TestARecordOfARangeHasItsEntries(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	ranges := []kv.Range{
		kv.Prefix("/a/"), kv.Prefix("/a"), kv.Prefix("\xff"), kv.Prefix("\xff\xff"), kv.Interval("", "/a"), kv.Interval("/a", "/a/"), kv.All(), kv.Key("/a/"),
	}
	for i, r := range ranges {
		var in []string
		for n, key := range []string{"\x00", "/", "/a", "/a/", "/a/\x00", "/a/x", "\xff", "\xff\xff"} {
			if r.Contains(key) && n%2 == i%2 {
				in = append(in, key)
			}
		}
		save(t, dir, record(r, kv.Revision(i+1), i, in...))
	}
	for i, r := range ranges {
		got, err := dir.Load(t.Context(), r)
		if err != nil || got.Snapshot.Revision != kv.Revision(i+1) || got.Range != r {
			t.Errorf("%v: loaded %v, %v", r, got, err)
		}
	}
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprintf("/many/%05d", i)
	}
	save(t, dir, record(kv.Prefix("/many/"), 77, 100, many...))
	wantLoaded(t, dir, record(kv.Prefix("/many/"), 77, 100, many...))
}

func TestRangesOfTheSameKeysAreTheSame(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	save(t, dir, record(kv.Prefix("/a/"), 7, 10, "/a/x"))
	wantLoaded(t, dir, record(kv.Interval("/a/", "/a0"), 7, 10, "/a/x"))
}

func TestTheRecordThatWasSavedLastIsLoaded(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	key := kv.Key("/a")
	for _, want := range []lastknown.Record{
		record(key, 9, 100, "/a"),
		record(key, 12, 1<<20, "/a"),
		record(key, 13, 0, "/a"), // the empty value
		record(key, 14, 0),       // deleted
		record(key, 3, 10, "/a"), // the store was restored
	} {
		save(t, dir, want)
		got, err := lastknown.NewDir(filepath.Dir(dir.File(key))).Load(t.Context(), key)
		if err != nil || got.Snapshot.Revision != want.Snapshot.Revision || len(got.Snapshot.Entries) != len(want.Snapshot.Entries) {
			t.Fatalf("saved %.200v, loaded %.200v, %v", want, got, err)
		}
	}
}

func TestTheTimeOfARecordIsThatOfSavingUnlessItIsGiven(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	r := record(kv.Key("/a"), 7, 10, "/a")
	r.Time = time.Time{}
	before := time.Now()
	save(t, dir, r)
	got, err := dir.Load(t.Context(), r.Range)
	if err != nil || got.Time.Before(before.Round(0).Add(-time.Millisecond)) || got.Time.After(time.Now().Add(time.Millisecond)) {
		t.Errorf("the time is %v, %v; want one after %v", got.Time, err, before)
	}
}

func TestLoadingARecordThatWasNotSavedIsAnError(t *testing.T) {
	dir := lastknown.NewDir(filepath.Join(t.TempDir(), "none"))
	_, err := dir.Load(t.Context(), kv.Key("/a"))
	if !errors.Is(err, lastknown.ErrNothingSaved) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(filepath.Dir(dir.File(kv.Key("/a")))); err == nil {
		t.Error("Load has made the directory")
	}
}

func TestADamagedFileIsAnErrorAndIsNotRemoved(t *testing.T) {
	key := kv.Key("/a")
	whole := func(t *testing.T, path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		want error
	}{
		{"empty", func(t *testing.T, path string) { write(t, path, nil) }, lastknown.ErrDamaged},
		{"cut in its first line", func(t *testing.T, path string) { write(t, path, whole(t, path)[:30]) }, lastknown.ErrDamaged},
		{"cut after its first line", func(t *testing.T, path string) { write(t, path, bytes.SplitAfter(whole(t, path), []byte("\n"))[0]) }, lastknown.ErrDamaged},
		{"cut at the end", func(t *testing.T, path string) { b := whole(t, path); write(t, path, b[:len(b)-1]) }, lastknown.ErrDamaged},
		{"longer", func(t *testing.T, path string) { write(t, path, append(whole(t, path), ' ')) }, lastknown.ErrDamaged},
		{"zeros", func(t *testing.T, path string) { write(t, path, make([]byte, len(whole(t, path)))) }, lastknown.ErrForeign},
		{"of another program", func(t *testing.T, path string) { write(t, path, []byte("{}")) }, lastknown.ErrForeign},
		{"of a newer format", func(t *testing.T, path string) {
			write(t, path, bytes.Replace(whole(t, path), []byte("watchkv-lastknown 1 "), []byte("watchkv-lastknown 2 "), 1))
		}, lastknown.ErrForeign},
		{"of another range", func(t *testing.T, path string) {
			dir := lastknown.NewDir(filepath.Dir(path))
			save(t, dir, record(kv.Key("/b"), 7, 10, "/b"))
			write(t, path, whole(t, dir.File(kv.Key("/b"))))
		}, lastknown.ErrForeign},
		{"of a range that begins with the same key", func(t *testing.T, path string) {
			dir := lastknown.NewDir(filepath.Dir(path))
			save(t, dir, record(kv.Prefix("/a"), 7, 10, "/a"))
			write(t, path, whole(t, dir.File(kv.Prefix("/a"))))
		}, lastknown.ErrForeign},
		{"a directory", func(t *testing.T, path string) { os.Remove(path); os.Mkdir(path, 0o700) }, lastknown.ErrForeign},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := lastknown.NewDir(t.TempDir())
			save(t, dir, record(key, 7, 10, "/a"))
			c.make(t, dir.File(key))
			got, err := dir.Load(t.Context(), key)
			if !errors.Is(err, c.want) || !reflect.DeepEqual(got, lastknown.Record{}) {
				t.Errorf("loaded %v, %v; want the error %v", got, err, c.want)
			}
			if !strings.HasPrefix(err.Error(), `lastknown: load "/a": `) {
				t.Errorf("the error is %q", err)
			}
			if _, err := os.Stat(dir.File(key)); err != nil {
				t.Errorf("the file is gone: %v", err)
			}
		})
	}
}

// A file system that was damaged may show a file with any size. To read it would end a program that has less memory.
func TestALargeDamagedFileIsNotRead(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	key, size := kv.Key("/a"), int64(64<<20)
	save(t, dir, record(key, 7, 10, "/a"))
	whole, err := os.ReadFile(dir.File(key))
	if err != nil {
		t.Fatal(err)
	}
	for name, start := range map[string]string{
		"it was longer once":          string(whole),
		"its first line has no end":   "watchkv-lastknown 1 ",
		"its first line is another":   "watchkv-lastknown 1 x\n",
		"its length is no number":     "watchkv-lastknown 1 99999999999999999999 \n",
		"it is of another program":    "{}",
		"it is of a newer format":     "watchkv-lastknown 2 \n",
		"its first line has a length": "watchkv-lastknown 1 7\n",
		"it has zeros":                "",
	} {
		write(t, dir.File(key), []byte(start))
		if err := os.Truncate(dir.File(key), size); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := dir.Load(t.Context(), key)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, lastknown.ErrDamaged) && !errors.Is(err, lastknown.ErrForeign) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(size)/16 {
			t.Errorf("promised: no error is a reason to end a program\nhappened: %s, and Load took %d MiB to find that", name, used>>20)
		}
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileWithAChangedByteIsNotUsed(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	key := kv.Key("/a")
	save(t, dir, record(key, 7, 10, "/a"))
	whole, err := os.ReadFile(dir.File(key))
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for bit := range 8 {
			changed := bytes.Clone(whole)
			changed[i] ^= 1 << bit
			write(t, dir.File(key), changed)
			if got, err := dir.Load(t.Context(), key); err == nil {
				t.Fatalf("with bit %d of byte %d changed, loaded %v", bit, i, got)
			}
		}
	}
}

func TestARecordThatNoStoreHasReturnedIsNotSaved(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	good := record(kv.Prefix("/a"), 7, 10, "/a", "/b")
	good.Snapshot.Entries[1].Key = "/ab"
	save(t, dir, good)
	for name, spoil := range map[string]func(*lastknown.Record){
		"zero range":           func(r *lastknown.Record) { r.Range = kv.Range{} },
		"empty key":            func(r *lastknown.Record) { r.Range = kv.Key("") },
		"negative revision":    func(r *lastknown.Record) { r.Snapshot = kv.Snapshot{Revision: -1} },
		"outside the range":    func(r *lastknown.Record) { r.Snapshot.Entries[1].Key = "/b" },
		"not sorted":           func(r *lastknown.Record) { r.Snapshot.Entries[0].Key = "/abc" },
		"twice":                func(r *lastknown.Record) { r.Snapshot.Entries[0].Key = "/ab" },
		"newer than the store": func(r *lastknown.Record) { r.Snapshot.Entries[0].ModRevision = 8 },
		"put before made":      func(r *lastknown.Record) { r.Snapshot.Entries[0].CreateRevision = 8 },
		"never made":           func(r *lastknown.Record) { r.Snapshot.Entries[0].CreateRevision = 0 },
		"no version":           func(r *lastknown.Record) { r.Snapshot.Entries[0].Version = 0 },
		"a time without text":  func(r *lastknown.Record) { r.Time = time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		bad := good
		bad.Snapshot.Entries = append([]kv.Entry(nil), good.Snapshot.Entries...)
		spoil(&bad)
		if err := dir.Save(t.Context(), bad); !errors.Is(err, lastknown.ErrInvalid) {
			t.Errorf("%s: the error is %v, want ErrInvalid", name, err)
		}
	}
	wantLoaded(t, dir, good)
}

func TestADoneContextEndsACall(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dir.Save(ctx, record(kv.Key("/a"), 7, 10, "/a")); !errors.Is(err, context.Canceled) {
		t.Errorf("Save returned %v", err)
	}
	if _, err := dir.Load(ctx, kv.Key("/a")); !errors.Is(err, context.Canceled) {
		t.Errorf("Load returned %v", err)
	}
	if _, err := dir.Load(t.Context(), kv.Range{}); !errors.Is(err, kv.ErrInvalidRange) {
		t.Errorf("Load of the zero range returned %v", err)
	}
}

func TestOnlyTheOwnerCanReadAFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such permissions")
	}
	dir := lastknown.NewDir(filepath.Join(t.TempDir(), "made"))
	save(t, dir, record(kv.Key("/a"), 7, 10, "/a"))
	for path, want := range map[string]fs.FileMode{dir.File(kv.Key("/a")): 0o600, filepath.Dir(dir.File(kv.Key("/a"))): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

func TestConcurrentUsersOfADirectoryLoadWholeRecords(t *testing.T) {
	path := t.TempDir()
	key := kv.Key("/a")
	save(t, lastknown.NewDir(path), record(key, 1, 1, "/a"))
	var users sync.WaitGroup
	for user := range 8 {
		dir := lastknown.NewDir(path)
		users.Go(func() {
			for i := range 30 {
				if user%2 == 0 {
					n := user*100 + i + 1
					if err := dir.Save(t.Context(), record(key, kv.Revision(n), n*10, "/a")); err != nil {
						t.Error(err)
					}
					continue
				}
				got, err := dir.Load(t.Context(), key)
				if err != nil {
					t.Error(err)
					continue
				}
				n := got.Snapshot.Revision
				if want := record(key, n, max(int(n)*10, 1), "/a"); n > 1 && !reflect.DeepEqual(got, want) {
					t.Errorf("loaded a record of revision %d that was never saved", n)
				}
			}
		})
	}
	users.Wait()
	wantNoLeftovers(t, path)
}

func wantNoLeftovers(t *testing.T, path string) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(path, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestTheFilesOfKilledProcessesAreRemovedLater(t *testing.T) {
	path := t.TempDir()
	key := kv.Key("/a")
	dir := lastknown.NewDir(path)
	old, young, other := dir.File(key)+".1.tmp", dir.File(key)+".2.tmp", filepath.Join(path, "other.tmp")
	for _, name := range []string{old, young, other} {
		write(t, name, nil)
	}
	for _, name := range []string{old, other} {
		if err := os.Chtimes(name, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	save(t, dir, record(key, 1, 1, "/a"))
	for name, want := range map[string]bool{old: false, young: true, other: true} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", filepath.Base(name), err == nil, want)
		}
	}
}

func TestALaterSaveOfTheSameProgramRemovesTheFilesOfKilledProcessesToo(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	key := kv.Key("/a")
	left := dir.File(key) + ".1.tmp" // of a process that was killed just before this one began
	write(t, left, nil)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(modTime(t, left)))
		save(t, dir, record(key, 1, 1, "/a"))
		modTime(t, left) // it is young
		time.Sleep(61 * time.Minute)
		save(t, dir, record(key, 2, 2, "/a"))
		if _, err := os.Stat(left); err == nil {
			t.Error("promised: a later Save removes the file of a killed process when it is an hour old; it is there after two Saves, an hour apart")
		}
	})
}

func modTime(t *testing.T, name string) time.Time {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

func TestASaveThatFailsAgainFailsWithTheSameError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	dir, r := lastknown.NewDir(path), record(kv.Key("/a"), 1, 1, "/a")
	same := func(what string) {
		t.Helper()
		first, second := dir.Save(t.Context(), r), dir.Save(t.Context(), r)
		if first == nil || second == nil || first.Error() != second.Error() {
			t.Errorf("promised: an error that was logged is recognized when it comes again\nhappened: %s, and Save failed with\n\t%v\nand with\n\t%v", what, first, second)
		}
		if !strings.Contains(fmt.Sprint(first), dir.File(r.Range)) {
			t.Errorf("promised: an error names the file; it is %v", first)
		}
	}
	write(t, path, nil)
	same("the directory is a file")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir.File(r.Range), 0o700); err != nil {
		t.Fatal(err)
	}
	same("the file is a directory")
}
