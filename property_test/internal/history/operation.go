package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// An Operation is one call of a client, and its outcome.
type Operation struct {
	Client int
	Call   time.Duration // since the recorder was made
	Return time.Duration

	Writes []kv.Op  // what it had to write; none in a read
	Range  kv.Range // of a read

	Outcome  Outcome
	Revision kv.Revision // the revision that the answer names
	Entries  []kv.Entry  // the entries that a read found
}

// Outcome is what a client knows about the outcome of its operation.
type Outcome uint8

// The outcomes of an operation. A read that fails is not recorded.
const (
	Done     Outcome = iota // it happened
	Conflict                // it did not happen, because a condition did not hold
	Unknown                 // it may have happened, and may still happen
)

// IsRead reports whether o only reads.
func (o Operation) IsRead() bool { return len(o.Writes) == 0 }

// String describes o, without the times.
func (o Operation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "client %d: ", o.Client)
	if o.IsRead() {
		fmt.Fprintf(&b, "get %v at %d:", o.Range, o.Revision)
		for _, e := range o.Entries {
			fmt.Fprintf(&b, " %s", describe(e))
		}
		return b.String()
	}
	for i, w := range o.Writes {
		if i > 0 {
			b.WriteString(" and ")
		}
		b.WriteString(describeWrite(w))
	}
	switch o.Outcome {
	case Done:
		fmt.Fprintf(&b, ": done at %d", o.Revision)
	case Conflict:
		b.WriteString(": conflict")
	case Unknown:
		b.WriteString(": unknown")
	}
	return b.String()
}

func describeWrite(w kv.Op) string {
	text := fmt.Sprintf("%v %s", w.Type, w.Key)
	if w.Type == kv.EventPut {
		text += fmt.Sprintf("=%s", w.Value)
	}
	if rev, ok := condition(w); ok {
		text += fmt.Sprintf(" if at %d", rev)
	}
	return text
}

func describe(e kv.Entry) string {
	return fmt.Sprintf("%s=%s(%d %d %d)", e.Key, e.Value, e.CreateRevision, e.ModRevision, e.Version)
}

func describeEvent(e kv.Event) string {
	if e.Type == kv.EventDelete {
		return fmt.Sprintf("the deletion of %s at %d", e.Key, e.ModRevision)
	}
	return "the put " + describe(e.Entry)
}

// condition returns the mod revision that is the condition of w.
func condition(w kv.Op) (kv.Revision, bool) {
	for _, c := range w.Conditions {
		if rev, ok := c.ModRevision(); ok {
			return rev, true
		}
	}
	return 0, false
}

// written returns what o had to write to key.
func (o Operation) written(key string) (kv.Op, bool) {
	i := slices.IndexFunc(o.Writes, func(w kv.Op) bool { return w.Key == key })
	if i < 0 {
		return kv.Op{}, false
	}
	return o.Writes[i], true
}

// found returns the entry of key that a read has found.
func (o Operation) found(key string) (kv.Entry, bool) {
	i := slices.IndexFunc(o.Entries, func(e kv.Entry) bool { return e.Key == key })
	if i < 0 {
		return kv.Entry{}, false
	}
	return o.Entries[i], true
}
