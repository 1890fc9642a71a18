package pagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorded is a test whose failures are only recorded.
type recorded struct {
	testing.TB
	failures []string
}

func (r *recorded) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func TestCodeThatIsNotInTheDirectoryIsFound(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("a.go", "package a\n\nfunc f() {\n\tg()\n\th()\n}\n")
	write("b.go", "package a\n\nfunc g() {}\n")
	for _, c := range []struct{ name, page, says string }{
		{"the code", "Text.\n```go\nfunc f() {\n\tg()\n\th()\n}\n```\n", ""},
		{"code of another file, indented otherwise", "```go\ng()\nh()\n```\nand\n```go\n\tfunc g() {}\n```\n", ""},
		{"other code", "```go\ng()\n```\n```go\ng()\ng()\n```\n", "g()\ng()"},
		{"no code", "Text.\n```\ng()\n```\n", "no Go code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &recorded{TB: t}
			ShowsCode(r, write("page.md", c.page), dir)
			if c.says == "" && len(r.failures) > 0 {
				t.Errorf("the page was refused: %q", r.failures)
			}
			if c.says != "" && (len(r.failures) != 1 || !strings.Contains(r.failures[0], c.says)) {
				t.Errorf("the failures are %q, want one that says %q", r.failures, c.says)
			}
		})
	}
}
