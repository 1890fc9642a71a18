package fault

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// Match selects the calls to which a fault applies. Every method that makes a fault takes any number of matches. A call must
// meet all of them. Without matches, the fault applies to every call.
//
// [Ops] match by operation, [On] by key, and [Answered] moves the fault to the moment after the store has answered. Other
// kinds can be written outside this package.
type Match interface {
	// Matches reports whether the fault applies to the call. It is called while the Store is locked: it must not block, and
	// must not use the Store.
	Matches(Call) bool
	// String describes the match, as part of a list: "get", `on "/a"`.
	String() string
}

// Call is what a [Match] sees: a call on its way to the store, or an answer on its way back. For the faults that change what
// a stream delivers ([Store.Drop], [Store.Duplicate]), it is one event.
type Call struct {
	// Op is the operation. For an event it is Watches, and Puts or Deletes.
	Op Ops
	// Range is the range of a Get or a Watch.
	Range kv.Range
	// After is the revision after which a Watch begins.
	After kv.Revision
	// Keys are the keys of a write, or the key of an event. They are nil for a Get or a Watch. They are empty and not nil
	// for a call without keys: a commit without ops, or a request for progress.
	Keys []string
	// Answered is true after the store has answered, and false before the call has reached it. The answers to a Watch are
	// its batches, and the error at its end.
	Answered bool
}

// String returns the call as it appears in errors: get "/a", watch "/a"* after 7, put "/a".
func (c Call) String() string {
	switch c.Op {
	case Gets:
		return "get " + c.Range.String()
	case Watches:
		return fmt.Sprintf("watch %v after %d", c.Range, c.After)
	case Progress:
		return "request progress"
	}
	text := make([]string, len(c.Keys))
	for i, key := range c.Keys {
		text[i] = strconv.Quote(key)
	}
	return c.Op.String() + " " + strings.Join(text, ", ")
}

// touches reports whether c concerns any key in r.
func (c Call) touches(r kv.Range) bool {
	for _, key := range c.Keys {
		if r.Contains(key) {
			return true
		}
	}
	return c.Keys == nil && overlap(c.Range, r)
}

func overlap(a, b kv.Range) bool {
	aFrom, aTo, aBounded := a.Bounds()
	bFrom, bTo, bBounded := b.Bounds()
	return (!aBounded || bFrom < aTo) && (!bBounded || aFrom < bTo)
}

// answered returns c as it is after the store has answered.
func (c Call) answered() Call {
	c.Answered = true
	return c
}

// Ops is a set of operations, combined with |. It is a [Match]: Gets|Watches matches both.
type Ops uint8

// The operations of a store.
const (
	Gets Ops = 1 << iota
	Watches
	Puts
	Deletes
	Commits
	Progress // requests for progress, which have no key, so On matches none of them

	Reads  = Gets | Watches
	Writes = Puts | Deletes | Commits
)

// Matches reports whether the call is one of o.
func (o Ops) Matches(c Call) bool { return o&c.Op != 0 }

// String returns the names of the operations: "get", "put|delete".
func (o Ops) String() string {
	var names []string
	for i, name := range []string{"get", "watch", "put", "delete", "commit", "progress"} {
		if o&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, "|")
}

// On matches calls that concern a key in r: reads and watches of a range that overlaps r, writes of a key in r, and commits
// with such a write. It panics if r is invalid.
func On(r kv.Range) Match {
	if err := r.Validate(); err != nil {
		panic("fault.On: " + err.Error())
	}
	return on{r}
}

type on struct{ r kv.Range }

func (o on) Matches(c Call) bool { return c.touches(o.r) }
func (o on) String() string      { return "on " + o.r.String() }

// Answered matches calls that the store has answered, before the caller sees the answer. Without it, a fault applies before
// the call reaches the store.
//
// The answers to a Watch are its batches, so Hold(Watches, Answered) holds the next batch. For a write, Answered is the
// difference between a lost request and a lost acknowledgement.
var Answered Match = answered{}

type answered struct{}

func (answered) Matches(c Call) bool { return c.Answered }
func (answered) String() string      { return "answered" }

// matches are all that a call must meet.
type matches []Match

func (m matches) match(c Call) bool {
	for _, one := range m {
		if !one.Matches(c) {
			return false
		}
	}
	return true
}

// saysWhen reports whether Answered is one of the matches.
func (m matches) saysWhen() bool {
	for _, one := range m {
		if _, ok := one.(answered); ok {
			return true
		}
	}
	return false
}

func (m matches) String() string {
	if len(m) == 0 {
		return "everything"
	}
	text := make([]string, len(m))
	for i, one := range m {
		text[i] = one.String()
	}
	return strings.Join(text, " ")
}
