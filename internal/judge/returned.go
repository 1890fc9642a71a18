package judge

import (
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// What is the kind of outcome of a Get.
type What uint8

// The kinds of outcome.
const (
	Nothing   What = iota // there was no Get
	Value                 // a value; a default counts as Deleted
	Deleted               // value.ErrDeleted, or the default
	BadValue              // a *value.DecodeError
	Gap                   // a *value.GapError
	Cancelled             // the context of the Get ended; of several in a row the first is recorded
	Refused               // kv.ErrPermission
	Failed                // any other error
)

// Returned is the outcome of one Get.
type Returned struct {
	What     What
	Revision kv.Revision // the revision of a Value, Deleted or BadValue
	Text     string      // a Value or BadValue as it was written; the error of a Gap or Failed
	From, To kv.Revision // the revisions of a Gap
	Reset    bool        // the Gap is for replaced history
	Lost     bool        // the Gap is for events that a stream lost
}

func (t Returned) String() string {
	switch t.What {
	case Value:
		return fmt.Sprintf("%q of %d", t.Text, t.Revision)
	case Deleted:
		return fmt.Sprintf("deleted by %d", t.Revision)
	case BadValue:
		return fmt.Sprintf("the bad %q of %d", t.Text, t.Revision)
	case Gap:
		return fmt.Sprintf("a gap from %d to %d (%s)", t.From, t.To, t.Text)
	case Cancelled:
		return "a cancelled Get"
	case Refused:
		return "a refusal"
	case Failed:
		return fmt.Sprintf("the error %q", t.Text)
	}
	return "nothing"
}

func (t Returned) outcome() (What, kv.Revision) { return t.What, t.Revision }

// state returns the state of the key that t shows.
func (t Returned) state() State {
	switch t.What {
	case Value:
		return Good
	case BadValue:
		return Bad
	}
	return Absent
}

// is reports whether t shows u. A deletion may be returned with the revision of the deletion or with a later one.
func (t Returned) is(u Update) bool {
	if t.state() != u.State {
		return false
	}
	return u.State == Absent || t.Revision == u.Revision && t.Text == u.Value
}

// Mode is how a watcher is made and read.
type Mode struct {
	Name      string
	Every     bool // value.EveryUpdate
	Default   bool // the Value has a default
	Filter    bool // reads with value.Where(Wanted)
	Slow      bool // rests between two Gets
	Impatient bool // cancels many of its Gets
	Bundle    bool // for a range: watches its bundle, not its Map
}

// Modes returns the modes of [Watchers].
func Modes() []Mode {
	return append(modesOfBoth(),
		Mode{Name: "filtered newest", Filter: true},
		Mode{Name: "filtered every", Every: true, Filter: true},
		Mode{Name: "newest with a default", Default: true},
		Mode{Name: "every with a default", Every: true, Default: true},
	)
}

// RangeModes returns the modes of [RangeWatchers].
func RangeModes() []Mode {
	return append(modesOfBoth(),
		Mode{Name: "newest of a bundle", Bundle: true},
		Mode{Name: "every of a bundle", Every: true, Bundle: true},
	)
}

func modesOfBoth() []Mode {
	return []Mode{
		{Name: "newest"},
		{Name: "every", Every: true},
		{Name: "slow newest", Slow: true},
		{Name: "slow every", Every: true, Slow: true},
		{Name: "impatient newest", Impatient: true},
		{Name: "impatient every", Every: true, Impatient: true},
	}
}

// sees reports whether a watcher in this mode returns u, if it returns every update.
func (m Mode) sees(u Update) bool { return u.State != Good || !m.Filter || isWanted(u.Value) }

// Record has what one watcher returned, in order.
type Record struct {
	Mode     Mode
	Returned []Returned
	Open     bool // the watcher was open, and was read until it had returned everything
}

// ends reports whether a watcher that returned last at the end has returned the final update u, or need not return it.
func (m Mode) ends(last Returned, u Update) bool {
	switch {
	case u.State == Absent && last.What == Nothing:
		return !m.Default
	case !m.sees(u):
		return true
	}
	return last.What != Nothing && last.is(u)
}
