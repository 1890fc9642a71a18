package logkv

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/watchkv/watchkv/kv"
)

// A program that is killed while it writes leaves the beginning of a line, or a line without its newline.
func TestLogOfKilledWriterIsRepaired(t *testing.T) {
	for _, lost := range []int{1, 10} {
		path := filepath.Join(t.TempDir(), "log")
		s := openTest(t, path)
		for _, value := range []string{"kept", "unacknowledged"} {
			if _, err := s.Put(t.Context(), "k", []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, info.Size()-int64(lost)); err != nil {
			t.Fatal(err)
		}

		s = openTest(t, path)
		if e, err := kv.GetKey(t.Context(), s, "k"); err != nil || string(e.Value) != "kept" || e.ModRevision != 1 {
			t.Errorf("without the last %d bytes of the log: got %q of revision %d, %v", lost, e.Value, e.ModRevision, err)
		}
		want := kv.Revision(2) // the revision of the write that was lost
		if lost == 1 {
			want = 3 // the whole record is there, so the write happened
		}
		if rev, err := s.Put(t.Context(), "k", []byte("next")); err != nil || rev != want {
			t.Errorf("without the last %d bytes of the log: the next put is revision %d, %v, want %d", lost, rev, err, want)
		}
		if e, err := kv.GetKey(t.Context(), openTest(t, path), "k"); err != nil || string(e.Value) != "next" {
			t.Errorf("after the repair, in a Store that was opened later: got %q, %v", e.Value, err)
		}
	}
}

// A Store that went on with what it had in memory would return old entries, and acknowledge writes that no one sees.
func TestLogThatIsDamagedWhileItIsOpenIsAnErrorOfEachCall(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string, text []byte){
		"emptied": func(t *testing.T, path string, _ []byte) { write(t, path, nil) },
		"cut":     func(t *testing.T, path string, text []byte) { write(t, path, text[:len(text)-10]) },
		"a record is missing": func(t *testing.T, path string, text []byte) {
			write(t, path, append(text, line(record{Revision: 4, Changes: []change{{Key: []byte("k"), Create: 1, Mod: 4, Version: 4}}})...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			s := openTest(t, path)
			for range 2 {
				if _, err := s.Put(t.Context(), "k", []byte("acknowledged")); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damage(t, path, text)
			for n := range 3 {
				if got, err := s.Get(t.Context(), kv.Key("k")); err == nil {
					t.Errorf("get %d returned %v", n, got)
				}
				if rev, err := s.Put(t.Context(), "k", nil); err == nil {
					t.Errorf("put %d returned revision %d", n, rev)
				}
			}
		})
	}
}

// write replaces the bytes of the file at path. It is still the same file.
func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func openTest(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
