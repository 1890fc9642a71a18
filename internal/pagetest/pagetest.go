// Package pagetest compares the Go code in a page of documentation with the code that it was taken from.
package pagetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ShowsCode fails the test if the page has Go code that is not, word for word, in the Go files of one of the directories, or no Go code
// at all. How far the code is indented does not matter.
func ShowsCode(t testing.TB, page string, dirs ...string) {
	t.Helper()
	blocks := strings.Split(read(t, page), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Errorf("%s shows no Go code", page)
	}
	var code string
	for _, dir := range dirs {
		code += codeOf(t, dir)
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(code, unindented(block)) {
			t.Errorf("%s shows this code, which is not in the Go files of %s:\n%s", page, strings.Join(dirs, " or "), block)
		}
	}
}

// codeOf returns all Go code of a directory.
func codeOf(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, name := range files {
		code.WriteString(unindented(read(t, name)))
	}
	return code.String()
}

func read(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// unindented returns text without the tabs at the beginning of its lines.
func unindented(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, "\t")
	}
	return strings.Join(lines, "")
}
