package lastknown_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/lastknown"
)

// For any contents of a file, Load returns an error, or the record of a file that Save could have written. With sealed, the file gets a
// correct first line, so that Load also parses the rest: then Load returns an error, or a record that can be saved.
func FuzzLoad(f *testing.F) {
	dir := lastknown.NewDir(f.TempDir())
	r := kv.Prefix("/a")
	path := dir.File(r)
	for _, seed := range []lastknown.Record{record(r, 7, 10, "/a", "/ab"), record(r, 7, 0)} {
		if err := dir.Save(f.Context(), seed); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b[:len(b)/2], false)
		f.Add(append(bytes.Clone(b), b...), false)
		_, body, _ := bytes.Cut(b, []byte("\n"))
		f.Add(body, true)
		f.Add(bytes.Replace(body, []byte(`"revision":7`), []byte(`"revision":6`), 1), true)
		f.Add(bytes.Replace(body, []byte(`"bounded":true`), []byte(`"bounded":false`), 1), true)
	}
	for _, text := range []string{"", "{}", "null", "[]", `{"from":"L2E=","to":"L2I=","bounded":true,"entries":[{}]}`} {
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, file []byte, sealed bool) {
		if sealed {
			file = append(fmt.Appendf(nil, "watchkv-lastknown 1 %d %x\n", len(file), sha256.Sum256(file)), file...)
		}
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := dir.Load(t.Context(), r)
		if err != nil {
			if !reflect.DeepEqual(got, lastknown.Record{}) {
				t.Fatalf("Load returned the error %v, but also the record %v", err, got)
			}
			return
		}
		if err := dir.Save(t.Context(), got); err != nil {
			t.Fatalf("loaded a record that cannot be saved: %v", err)
		}
		if again, err := os.ReadFile(path); err != nil || !sealed && !bytes.Equal(again, file) {
			t.Fatalf("loaded a file that Save does not write, %v:\n%q\nwant\n%q", err, file, again)
		}
	})
}
