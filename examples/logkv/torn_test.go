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

func openTest(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
