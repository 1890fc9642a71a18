package logkv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The Go code that docs/writing-a-backend.md shows is this package's.
func TestThePageShowsThisCode(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, name := range files {
		code.WriteString(unindented(readFile(t, name)))
	}
	blocks := strings.Split(readFile(t, "../../docs/writing-a-backend.md"), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Error("the page shows no Go code")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(code.String(), unindented(block)) {
			t.Errorf("the page shows this, which is not in the package:\n%s", block)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// unindented is text without what its lines begin with in tabs.
func unindented(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, "\t")
	}
	return strings.Join(lines, "")
}
