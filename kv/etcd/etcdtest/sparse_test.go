package etcdtest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What lies before, between and behind holes is copied, and so is the size.
func TestACopyOfASparseFileIsEqual(t *testing.T) {
	const hole = 1 << 20
	for name, write := range map[string]func(*os.File) error{
		"empty":          func(*os.File) error { return nil },
		"a hole only":    func(f *os.File) error { return f.Truncate(hole) },
		"ends in a hole": func(f *os.File) error { f.WriteString("data"); return f.Truncate(hole) },
		"data between": func(f *os.File) error {
			f.WriteAt([]byte("first"), 0)
			f.WriteAt([]byte("second"), hole+300)
			_, err := f.WriteAt([]byte("third"), 3*hole-1)
			return err
		},
		"zeros that are no hole": func(f *os.File) error { _, err := f.Write(append(make([]byte, hole), "data"...)); return err },
	} {
		from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
		f, err := os.Create(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if err := copySparse(to, from); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, _ := os.ReadFile(from)
		got, _ := os.ReadFile(to)
		if !bytes.Equal(want, got) {
			t.Errorf("%s: a file of %d bytes, copied, has %d and is another", name, len(want), len(got))
		}
	}
}
