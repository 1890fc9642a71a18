package program

import "github.com/watchkv/watchkv/kv"

// Program is a list of steps that one client does on one store, one after the other.
type Program []Step

// Step is one step of a program. Its answer is the answer of the store. A step prints itself as Go code.
type Step interface {
	do(r *run) string
	GoString() string
}

// Write is a step made by [Put] or [Delete], or a part of a [Commit].
type Write struct {
	kind       kv.EventType
	key, value string
	conditions []Revision
}

// Put sets key to value if its ModRevision is each of the given ones.
func Put(key, value string, conditions ...Revision) Write {
	return Write{kind: kv.EventPut, key: key, value: value, conditions: conditions}
}

// Delete removes key if its ModRevision is each of the given ones.
func Delete(key string, conditions ...Revision) Write {
	return Write{kind: kv.EventDelete, key: key, conditions: conditions}
}

type commit struct{ writes []Write }

// Commit does all of writes in one revision.
func Commit(writes ...Write) Step { return commit{writes} }

type get struct{ r kv.Range }

// Get reads r.
func Get(r kv.Range) Step { return get{r} }

type compact struct{ at Revision }

// Compact makes the store forget its history before a revision.
//
// Before that, each watch that the compaction could overtake gets everything that is due. If nothing is due, Run changes a key in its
// range, the mark, to learn that the watch runs.
func Compact(at Revision) Step { return compact{at} }

type watch struct {
	r     kv.Range
	after Revision
}

// Watch begins a watch. It runs until the program ends or resumes it with [Resume]. Its answer is everything that it delivers until then,
// and its end. At the end of a program, each watch gets a mark. A wrong event would come before the mark.
func Watch(r kv.Range, after Revision) Step { return watch{r, after} }

type resume struct{ watch, back int }

// Resume ends a watch and begins it again after its last revision, as a reader that was cut off does. Watches are numbered from 0, in the
// order of their [Watch] steps.
//
// If back is greater than zero, the reader has not read its last revisions. back is how many. They have to come again.
func Resume(watch, back int) Step { return resume{watch, back} }

type progress struct{}

// Progress requests bookmarks from the store, if the store can do that. A bookmark is no part of an answer, unless it is wrong.
func Progress() Step { return progress{} }
