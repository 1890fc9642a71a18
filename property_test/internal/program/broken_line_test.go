package program_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
)

// Each row has a line of kv/memory or of its core, and the same line with a mistake that is easily made.
var brokenLines = []struct{ what, file, line, broken string }{
	{"S3: a version does not rise", "kv/internal/mvcc/store.go",
		"rec.Version = old.Version + 1",
		"rec.Version = old.Version"},
	{"deleting what does not exist makes a revision", "kv/memory/write.go",
		"return s.data.Delete(op.Key, revision) != nil",
		"s.data.Delete(op.Key, revision)\n\ts.data.Revision = revision\n\treturn true"},
	{"a condition holds that does not", "kv/memory/write.go",
		"if !c.Holds(modify) {",
		"if !c.Holds(modify) && modify != 0 {"},
	{"W4: a deletion at the revision of a compaction is lost", "kv/internal/mvcc/store.go",
		"s.history.at(0).Modify < before",
		"s.history.at(0).Modify <= before"},
	{"W8: a watch that needs nothing of what is gone is refused", "kv/memory/watch.go",
		"case w.from < s.data.Compacted:",
		"case w.from <= s.data.Compacted:"},
	{"W9: the revision to watch after is delivered", "kv/memory/watch.go",
		"max(after, after+1)",
		"after"},
	{"W4: the first revision that a watch of the future wants does not wake it", "kv/memory/write.go",
		"w.from <= revision",
		"w.from < revision"},
	{"W10: the key that is the prefix itself does not wake its watch", "kv/internal/mvcc/index.go",
		"if p.length > len(key) {",
		"if p.length >= len(key) {"},
}

// fewSteps is the most steps that a program needs to show a broken line. Such a program is short enough to understand.
const fewSteps = 5

// The property must fail for kv/memory with one broken line, with a program of a few steps.
func TestOneBrokenLineOfMemoryIsFound(t *testing.T) {
	leaktest.Check(t)
	for _, b := range brokenLines {
		t.Run(b.what, func(t *testing.T) {
			t.Parallel()
			overlay := breakLine(t, b.file, b.line, b.broken)
			test := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-vet=off", "-count=1",
				"-run", "^TestMemoryAnswersAsTheModel$", ".", "-rapid.seed=1", "-rapid.shrinktime=1m", "-rapid.nofailfile")
			out, err := test.CombinedOutput()
			found := regexp.MustCompile(`a program of (\d+) steps tells the stores apart`).FindAllSubmatch(out, -1)
			if err == nil || found == nil {
				t.Fatalf("the broken line is not found: %v\n%s", err, out)
			}
			last := found[len(found)-1][1]
			if steps, err := strconv.Atoi(string(last)); err != nil || steps > fewSteps {
				t.Errorf("the program needs %s steps to show the broken line, want at most %d\n%s", last, fewSteps, out)
			}
			t.Logf("%s", out)
		})
	}
}

// breakLine returns an overlay file with which the go command sees the broken line in a file.
func breakLine(t *testing.T, file, line, broken string) string {
	path, err := filepath.Abs(filepath.Join("..", "..", "..", file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte(line)); n != 1 {
		t.Fatalf("the test itself: %s has %d lines with %q, want one", file, n, line)
	}
	dir := t.TempDir()
	replaced := filepath.Join(dir, filepath.Base(file))
	write(t, replaced, bytes.Replace(source, []byte(line), []byte(broken), 1))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: replaced}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	write(t, name, overlay)
	return name
}

func write(t *testing.T, name string, content []byte) {
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
