package program

import "github.com/watchkv/watchkv/kv"

// Program is a course of steps on one store, by one client, one after the other.
type Program []Step

// Step is one thing that a program does. Its answer is what the store said. A step prints itself as Go code.
type Step interface {
	do(r *run) string
	GoString() string
}

// Write is the step that [Put] and [Delete] make, and what a [Commit] consists of.
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

// Compact forgets what was before a revision.
//
// A watch that could be overtaken first gets all that is due to it, and if that is nothing, a change of a key in its
// range, a mark, to know that it is running.
func Compact(at Revision) Step { return compact{at} }

type watch struct {
	r     kv.Range
	after Revision
}

// Watch begins a watch, which runs until the program ends or takes it up again with [Resume]. Its answer is all that it
// delivers until then, and how it ends. At the end of a program there is a mark for each watch: whatever should not have come
// would have come before it.
func Watch(r kv.Range, after Revision) Step { return watch{r, after} }

type resume struct{ watch, back int }

// Resume does what a reader does that was cut off: it ends a watch and begins it again, after the revision that it had come to.
// Watches are counted from 0, in the order of their [Watch] steps.
//
// With back above zero the reader had not yet read the last of its batches: so many of its revisions are unread, and
// have to come again.
func Resume(watch, back int) Step { return resume{watch, back} }

type progress struct{}

// Progress has the store say to its watches how far they are, where it can be asked to. Its bookmarks are no part of any
// answer, unless one is wrong.
func Progress() Step { return progress{} }
