package value_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Data goes one way: store, upstream, feed, state, watcher. So the files of the package have an order in which each file refers only to
// earlier files. A file may have methods of a type of an earlier file. Calls of these methods by the earlier file do not count.
func TestFilesDoNotReferToEachOtherInCycles(t *testing.T) {
	references := fileReferences(t)
	for _, way := range [][2]string{{"feed.go", "state.go"}, {"watcher.go", "state.go"}, {"value.go", "watcher.go"}} {
		if reach(references, way[0])[way[1]] == nil { // otherwise the test would find nothing
			t.Errorf("promised: %s refers to %s; no way was found", way[0], way[1])
		}
	}
	for _, file := range slices.Sorted(maps.Keys(references)) {
		for _, next := range slices.Sorted(maps.Keys(references[file])) {
			if back := reach(references, next)[file]; back != nil {
				t.Errorf("promised: no file refers back to a later one; %s refers to %s by %s, which leads back: %s",
					file, next, references[file][next], strings.Join(back, ", "))
			}
		}
	}
}

// reach returns the files to which a file refers, directly or indirectly, with the way to each.
func reach(references map[string]map[string]string, from string) map[string][]string {
	ways := map[string][]string{}
	for next := []string{from}; len(next) > 0; next = next[1:] {
		for _, to := range slices.Sorted(maps.Keys(references[next[0]])) {
			if ways[to] == nil {
				ways[to] = append(slices.Clone(ways[next[0]]), next[0]+" refers to "+to+" by "+references[next[0]][to])
				next = append(next, to)
			}
		}
	}
	return ways
}

// fileReferences returns, for each file of the package, the other files to which it refers, and for each of them a name that it uses.
func fileReferences(t *testing.T) map[string]map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	// Imported packages do not matter here. So neither do the errors that say that they are missing.
	checker := types.Config{Importer: nothing{}, Error: func(error) {}}
	self, _ := checker.Check("value", set, files, info)
	references := map[string]map[string]string{}
	for _, file := range files {
		references[set.File(file.Pos()).Name()] = map[string]string{}
	}
	for use, object := range info.Uses {
		if object.Pkg() != self {
			continue
		}
		from, to := set.File(use.Pos()).Name(), set.File(object.Pos()).Name()
		if receiver := receiverOf(object); receiver != nil && set.File(receiver.Pos()).Name() != to {
			continue
		}
		if was, ok := references[from][to]; from != to && (!ok || use.Name < was) {
			references[from][to] = use.Name
		}
	}
	return references
}

// receiverOf returns the name of the type of which object is a method, or nil if object is no method.
func receiverOf(object types.Object) *types.TypeName {
	function, ok := object.(*types.Func)
	if !ok || function.Signature().Recv() == nil {
		return nil
	}
	receiver := function.Signature().Recv().Type()
	if pointer, ok := receiver.(*types.Pointer); ok {
		receiver = pointer.Elem()
	}
	if named, ok := receiver.(*types.Named); ok {
		return named.Obj()
	}
	return nil
}

// nothing is an importer that finds no package.
type nothing struct{}

func (nothing) Import(string) (*types.Package, error) { return nil, errors.New("not imported") }
