package natskv

import (
	"strings"
	"testing"

	"github.com/watchkv/watchkv/kv"
)

func TestKeysAreSubjects(t *testing.T) {
	for key, tail := range map[string]string{
		"limits":      "limits",
		"/app/limits": "=.app.limits",
		"/":           "=.=",
		"a//b/":       "a.=.b.=",
		"a.b*>":       "a=2Eb=2A=3E",
		"=":           "=3D",
		"\x00\xff":    "=00=FF",
	} {
		if got := encodeKey(key); got != tail {
			t.Errorf("encodeKey(%q) = %q, want %q", key, got, tail)
		}
		if got, ok := decodeKey(tail); got != key || !ok {
			t.Errorf("decodeKey(%q) = %q, %v, want %q", tail, got, ok, key)
		}
	}
	for _, tail := range []string{"", "=", noteToken, "=2", "=2e", "=61", "a=", "a..b", "a b"} {
		if key, ok := decodeKey(tail); ok {
			t.Errorf("decodeKey(%q) = %q, want none", tail, key)
		}
	}
}

func TestFiltersMatchEveryKeyOfTheRange(t *testing.T) {
	keys := []string{"a", "/", "/a", "/app", "/app/", "/app/a", "/app/a/b", "/app0", "/b", "//", "\xff", "\xff/a"}
	for r, tail := range map[kv.Range]string{
		kv.All():                         ">",
		kv.Prefix("/app/"):               "=.app.>",
		kv.Prefix("/app/li"):             "=.app.>",
		kv.Prefix("/app"):                "=.>",
		kv.Prefix("\xff"):                ">",
		kv.Prefix("\xff/"):               "=FF.>",
		kv.Interval("/app/a", "/app/c"):  "=.app.>",
		kv.Interval("/app/a", "/b"):      "=.>",
		kv.Interval("/app/", "/app/a/b"): "=.app.>",
		kv.Interval("/a", ""):            ">",
	} {
		if r.Validate() != nil {
			continue
		}
		if got := filterTail(r); got != tail {
			t.Errorf("filterTail(%v) = %q, want %q", r, got, tail)
		}
		for _, key := range keys {
			if r.Contains(key) && !strings.HasPrefix(encodeKey(key), strings.TrimSuffix(filterTail(r), ">")) {
				t.Errorf("the filter %q for %v does not let %q through", filterTail(r), r, key)
			}
		}
	}
}

func FuzzKeysComeBack(f *testing.F) {
	f.Add("/app/limits")
	f.Fuzz(func(t *testing.T, key string) {
		if key == "" {
			t.Skip()
		}
		if got, ok := decodeKey(encodeKey(key)); got != key || !ok {
			t.Errorf("%q comes back as %q, %v", key, got, ok)
		}
	})
}
