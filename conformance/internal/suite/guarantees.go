package suite

import (
	"slices"
	"strings"
)

// guarantee is one promise of the contract, in the words that a failure quotes.
type guarantee struct {
	ID    string
	words string
}

var Guarantees = []guarantee{
	{"S1", "linearizable: a Get sees every write acknowledged before it began"},
	{"S2", "one revision: all entries are as they were at Snapshot.Revision, none newer, none missing, sorted by key"},
	{"S3", "true metadata: CreateRevision, ModRevision and Version follow etcd's rules, across deletion and re-creation"},
	{"S4", "absent is not an error: a range without entries is a Snapshot with nil Entries and a Revision to watch after"},
	{"S5", "bytes are the caller's: changing a slice that was given to or got from the store changes nothing stored"},
	{"S6", "any bytes: keys with NUL, 0xff and slashes, 1 KiB long; values empty, or of 1 MiB; the empty key is ErrInvalidKey"},
	{"W1", "no gap: a Watch after the revision of a Get loses nothing, whatever is written between and however late it starts"},
	{"W2", "ordered: events come in the order of their revisions"},
	{"W3", "unique: no event comes twice"},
	{"W4", "complete: every event after the given revision comes"},
	{"W5", "atomic: the events of one revision are never split over two batches"},
	{"W6", "resumable: a watch that stops at any batch and begins again after its Revision loses and repeats nothing"},
	{"W7", "true bookmarks: a batch's Revision never runs ahead of an event that is still to come"},
	{"W8", "compaction is said: where history after the given revision is gone, the watch ends with a *CompactedError"},
	{"W9", "future revisions wait: events at or below the given revision are never delivered"},
	{"W10", "filtered: no event outside the range comes, and every edge of a range is where it should be"},
	{"W11", "independent: a consumer that is slow or stuck delays neither writers nor other watches"},
	{"W12", "prompt end: when the context is done or the caller breaks, the watch ends at once and leaves nothing behind"},
	{"W13", "replaced history is said: a watch whose past is no longer the store's ends with ErrReset"},
	{"V1", "first Get: it returns the value as a linearizable read begun after the call finds it, and waits for an absent key"},
	{"V2", "later Gets: each waits for something newer than what the watcher returned last"},
	{"V3", "newest wins: a slow reader skips to the newest value, which arrives whatever happened before"},
	{"V4", "every update: when asked for, each comes once and in order; where history is gone one GapError says so"},
	{"V5", "never backwards: the revision behind successive Gets rises; only a replaced history is read afresh, and told"},
	{"V6", "deletion is told: once, as ErrDeleted or as the default, also if it happened during an outage"},
	{"V7", "bad values are told: as a DecodeError of the update that is bad; the watcher goes on"},
	{"V8", "cancelling a Get loses nothing: the next returns what the cancelled one would have"},
	{"V9", "Close: may be called twice and beside a Get, which returns ErrClosed; nothing is left"},
	{"V10", "one reader a watcher: a second Get at the same time fails with ErrConcurrentGet, the first is not disturbed"},
	{"V11", "outages are ridden out: an unavailable store is no error of Get; a lost permission and a closed store are"},
	{"V12", "one watch of the store per Value, however many watchers, and none without; an update is decoded once"},
	{"V13", "unchanged is not news: reading afresh does not return the same entry again"},
	{"V14", "Latest: the newest good value at hand is kept current while a watcher is open"},
	{"V15", "read your own write: AtLeast asks Get for the value as of a revision or later"},
	{"V16", "audited: a lost event is found by the versions, and healed; a store that loses none is not accused"},
	{"Writer", "writes: each makes one new revision and returns it, conditions are checked in the same step, all or nothing happens"},
	{"Stater", "reads without values: a Stat promises what a Get promises, and every Value is nil"},
	{"Acknowledger", "acknowledged watches: once, when the watch has begun and before its first batch; one that is refused is not"},
	{"Errors", "errors: every failure matches the error of package kv that says what it is, and names the operation and the key"},
}

// Check is one way to find out whether a guarantee is held.
type Check struct {
	Guarantee string
	Name      string
	Does      string // what is done, in a sentence
	Needs     Ability
	Run       func(*Env)
}

// Promised returns the words of c's guarantee.
func (c Check) Promised() string {
	for _, g := range Guarantees {
		if g.ID == c.Guarantee {
			return g.words
		}
	}
	return ""
}

// Path is how a check is called: "W5/catch-up".
func (c Check) Path() string { return c.Guarantee + "/" + c.Name }

// InTurn returns the guarantees in the order in which their checks run: first those that take a store back to a
// backup, while it holds little, and last those that forget history, which others share. What holds of Values
// comes after what it rests on.
func InTurn() []guarantee {
	turn := func(g guarantee) int {
		switch {
		case g.ID == "W13":
			return 0
		case g.ID == "V5":
			return 1
		case g.ID == "W7": // its first check
			return 2
		case g.ID == "W8":
			return 4
		case strings.HasPrefix(g.ID, "V"):
			return 5
		}
		return 3
	}
	sorted := slices.Clone(Guarantees)
	slices.SortStableFunc(sorted, func(a, b guarantee) int { return turn(a) - turn(b) })
	return sorted
}
