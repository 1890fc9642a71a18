// Package promises reads the numbered guarantees from the documentation of packages kv and value, and of value.Map, which is where they
// are written. Tests use it, so that what a failure quotes is what users read.
package promises

import (
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// All returns the text of every guarantee by its number: {"S1": "linearizable: a Get sees ..."}.
func All(t testing.TB) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, file := range []string{"kv/doc.go", "value/doc.go", "value/map.go"} {
		for id, text := range read(t, filepath.Join(root(t), file)) {
			if _, ok := all[id]; ok {
				t.Fatalf("%s promises %s, which was promised before", file, id)
			}
			all[id] = text
		}
	}
	return all
}

// root is the directory of the module, which this file is two below.
func root(t testing.TB) string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the source of this package is not known")
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// numbered is an item of a list that begins with the number of a guarantee.
var numbered = regexp.MustCompile(`(?s)^([SWVM]\d+), (.*?)\.?$`)

func read(t testing.TB, path string) map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, doc := range docsOf(file) {
		readDoc(doc, found)
	}
	if len(found) == 0 {
		t.Fatalf("%s promises nothing", path)
	}
	return found
}

// docsOf returns the documentation of the package and of its declared types.
func docsOf(file *ast.File) []*ast.CommentGroup {
	docs := []*ast.CommentGroup{file.Doc}
	for _, d := range file.Decls {
		if d, ok := d.(*ast.GenDecl); ok {
			docs = append(docs, d.Doc)
		}
	}
	return docs
}

func readDoc(doc *ast.CommentGroup, found map[string]string) {
	p := comment.Parser{LookupSym: func(string, string) bool { return true }} // [Name] is a link
	for _, block := range p.Parse(doc.Text()).Content {
		list, ok := block.(*comment.List)
		if !ok {
			continue
		}
		for _, item := range list.Items {
			if m := numbered.FindStringSubmatch(textOf(item)); m != nil {
				found[m[1]] = m[2]
			}
		}
	}
}

// textOf is what an item says, in one line and without links.
func textOf(item *comment.ListItem) string {
	var b strings.Builder
	for _, block := range item.Content {
		if paragraph, ok := block.(*comment.Paragraph); ok {
			write(&b, paragraph.Text)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func write(b *strings.Builder, texts []comment.Text) {
	for _, text := range texts {
		switch text := text.(type) {
		case comment.Plain:
			b.WriteString(string(text))
		case comment.Italic:
			b.WriteString(string(text))
		case *comment.Link:
			write(b, text.Text)
		case *comment.DocLink:
			write(b, text.Text)
		}
	}
}
