package fault

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// Match says which calls a fault is about. Every method that makes a fault takes any number of them: a
// call must meet all that are given, and with none given every call is meant.
//
// [Ops] match by operation, [On] by key, and [Answered] moves the fault to the moment at which the store has
// answered. Other kinds can be written outside this package.
type Match interface {
	// Matches reports whether the call is meant. It is called with the Store locked: it must not block, and
	// not use the Store.
	Matches(Call) bool
	// String says what is matched, as part of a list: "get", `on "/a"`.
	String() string
}

// Call is what a [Match] sees: a call on its way to the store, an answer on its way back, or, for the faults
// that change what a stream delivers ([Store.Drop], [Store.Duplicate]), one event.
type Call struct {
	// Op is the operation. For an event it is Watches and what the event does: Puts or Deletes.
	Op Ops
	// Range is what is read by a Get or a Watch.
	Range kv.Range
	// After is the revision that a Watch was asked to begin after.
	After kv.Revision
	// Keys are what a write writes, or what an event is about. Nil for a Get or a Watch. Empty, and not nil, for what is
	// about no key: a commit of nothing, a request for progress.
	Keys []string
	// Answered is set once the store has answered, and false before the call has reached it. Every batch and
	// the error at its end are the answers to a Watch.
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

// touches reports whether c is about any key in r.
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

// answered returns c at the moment when the store has answered it.
func (c Call) answered() Call {
	c.Answered = true
	return c
}

// Ops is a set of operations, combined with |. It is a [Match]: Gets|Watches matches either.
type Ops uint8

// The operations of a store.
const (
	Gets Ops = 1 << iota
	Watches
	Puts
	Deletes
	Commits
	Progress // requests for it, which are about no key: On matches none of them

	Reads  = Gets | Watches
	Writes = Puts | Deletes | Commits
)

// Matches reports whether the call is one of o.
func (o Ops) Matches(c Call) bool { return o&c.Op != 0 }

// String returns the operations' names: "get", "put|delete".
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

// On matches calls about any key in r: reads and watches of a range that has a key in common with r, writes
// of a key in r, commits of which one op is. It panics if r is invalid, which would match by accident.
func On(r kv.Range) Match {
	if err := r.Validate(); err != nil {
		panic("fault.On: " + err.Error())
	}
	return on{r}
}

type on struct{ r kv.Range }

func (o on) Matches(c Call) bool { return c.touches(o.r) }
func (o on) String() string      { return "on " + o.r.String() }

// Answered matches calls which the store has answered, before the caller has seen the answer. Without it
// a fault meets a call before that has reached the store.
//
// The answers to a Watch are its batches, so that Hold(Watches, Answered) holds the next batch. For a write
// it is the difference between a request that was lost and an acknowledgement that was lost.
var Answered Match = answered{}

type answered struct{}

func (answered) Matches(c Call) bool { return c.Answered }
func (answered) String() string      { return "answered" }

// matches is what a call must meet, all of it.
type matches []Match

func (m matches) match(c Call) bool {
	for _, one := range m {
		if !one.Matches(c) {
			return false
		}
	}
	return true
}

// saysWhen reports whether the moment is among what must be met.
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
