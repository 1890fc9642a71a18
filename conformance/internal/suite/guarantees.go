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

// Guarantees are those that checks are about, in the words of the documentation of packages kv and value, and of value.Map.
var Guarantees = []guarantee{
	{"S1", "linearizable: a Get sees every write that was acknowledged before the Get began"},
	{"S2", "one revision: all entries are as they were at Snapshot.Revision. None is newer and none is missing. They are sorted by key, however many there are"},
	{"S3", "true metadata: CreateRevision, ModRevision and Version follow etcd's rules. The first put of a key sets all three, also after a deletion. Each later put sets ModRevision and adds one to Version"},
	{"S4", "absent is not an error: a range without entries gives a Snapshot with nil Entries and the Revision to watch after"},
	{"S5", "bytes are the caller's: changing a slice that was passed to Put, or that a Get or an Event returned, changes nothing that is stored or that others have received"},
	{"S6", "any bytes: keys may hold NUL, 0xff and slashes, and may have at least 1 KiB. Values may be empty and may have at least 1 MiB. The empty key is ErrInvalidKey"},
	{"W1", "no gap: a Watch after the Revision of a Get misses nothing, whatever is written between the two calls and however late the Watch begins"},
	{"W2", "ordered: events come in the order of their revisions"},
	{"W3", "unique: no event comes twice"},
	{"W4", "complete: every event in the range after the given revision comes"},
	{"W5", "atomic: all events of one revision that are in the range come in one batch"},
	{"W6", "resumable: a caller may stop a watch after any batch and watch again after that batch's Revision. W1 to W5 hold across the two watches"},
	{"W7", "true bookmarks: the Revision of a batch is never ahead of an event that is still to come. It is the revision of the batch's last event, or, in a batch without events, a revision up to which nothing in the range has changed"},
	{"W8", "compaction is reported: where history after the given revision is gone, the watch ends with a *CompactedError. It never skips that history silently"},
	{"W9", "future revisions wait: an event at or below the given revision never comes, even if the store has not reached that revision yet"},
	{"W10", "filtered: no event outside the range comes. An interval includes its first key and excludes its last"},
	{"W11", "independent: a consumer that is slow or blocked delays neither writers nor other watches. The memory that is held for it is bounded"},
	{"W12", "prompt end: when the context is done or the caller stops, the watch ends at once, even when it is cut off from the store. No goroutine, stream or timer is left"},
	{"W13", "replaced history is reported: when the store's past is no longer the one that this watch has delivered, the watch ends with ErrReset as soon as the store can know. That is so after a restore from a backup, and when another store answers at the same address. A new watch after a revision that this Store has returned from the lost history, by a Get or a watch, ends so too while the new history has not reached that number: it does not wait as W9 says. Once the new history has reached the number, a call of Watch cannot tell the two histories apart, and may deliver the new one"},
	{"V1", "first Get: a linearizable read begins after the call, and Get returns the value that it finds. If the key is absent, the Get waits until the key exists. With WithDefault, an absent key reads as the default. With WithLastKnown, a store that does not answer reads as what was last known of it"},
	{"V2", "later Gets: each waits until there is something newer than what the watcher returned last"},
	{"V3", "newest wins: a slow reader skips to the newest value. The memory that a watcher holds does not grow with the number of updates"},
	{"V4", "every update: with EveryUpdate, the first Get returns the value as V1 says, and later Gets return each update once and in order. Memory stays bounded: a watcher that is far behind reads the store's own history. Where that history is gone, the watcher gets one *GapError and continues from the newest value"},
	{"V5", "never backwards: the revision behind successive Gets rises strictly, through reconnections and changes of leader. The one exception is a store whose history was replaced. The key is then read again, and Get returns what the read finds, unless that is the very entry that Get returned last"},
	{"V6", "a deletion is returned once: as ErrDeleted or as the default, also when it happened during an outage or was compacted away. A key that is deleted and created again while nothing watched it is its new value"},
	{"V7", "a bad value is an error of its own update: Get returns a *DecodeError for the update that does not decode, and the watcher continues. A decoder that panics counts as one that fails. A value that is larger than the store's client accepts is a bad value too, if the store is a [kv.Stater]. Otherwise Get returns [kv.ErrTooLarge] while the value stays"},
	{"V8", "cancelling a Get loses nothing: the next Get returns what the cancelled one would have returned"},
	{"V9", "Close: it may be called twice, and concurrently with a Get, which returns ErrClosed. Nothing is left behind"},
	{"V10", "one reader per watcher: a second concurrent Get fails with ErrConcurrentGet. The first is not disturbed"},
	{"V11", "outages are survived: Get does not return the error of an unavailable store. It waits while the store is tried again with growing, jittered delays. A lost permission and a closed store are errors of Get, after a read has confirmed them. Value.Status, a logger and a limit to staleness show and bound what happens meanwhile"},
	{"V12", "one watch per Value: however many watchers a Value has, it holds one watch of the store. It holds no watch and no goroutine when it has no watcher. Each update is read and decoded once"},
	{"V13", "unchanged is not news: reading the key again does not return the same entry again"},
	{"V14", "Latest: Value.Latest is the newest good value at hand, for the price of an atomic load. It is kept current while a watcher is open"},
	{"V15", "read your own write: AtLeast asks Get for the value at a given revision or later. Such a Get makes a read, so that a history that was replaced cannot answer it"},
	{"V16", "the watch is audited: each put raises the version of its key by one, so the next event proves that one was lost. The loss is logged, counted in Status and repaired by reading the key again"},
	{"M1", "complete at once: the first View is the whole range as of a linearizable read begun after the call. An empty range is an empty View, at once. So no Get returns ErrDeleted, and a Map takes no WithDefault"},
	{"M2", "one revision: a View is exactly what the range held at its Revision. It never shows half of a commit"},
	{"M3", "changes add up: the View that the watcher returned before, with View.Changes made, is this View. Each key is in Changes once"},
	{"M4", "removals are reported, also of keys that were deleted during an outage or whose deletion was compacted away. They come first"},
	{"M5", "a bad value harms its key alone: the key's Item has the *DecodeError and the last good value, and all other keys are as they are. Get returns no DecodeError. Status.BadValue is that of the newest bad value in the range"},
	{"M6", "unchanged is no change: after the range was read again, Changes has only what differs. The Item of a key that did not change has the same decoded value: it was not decoded again. A watcher of every update decodes what it reads of the store's history itself"},
	{"M7", "Views are values: immutable, and shared at no cost"},
	{"M8", "newest or every revision: by default the changes that a slow reader has missed are merged. With EveryUpdate each revision that changed the range is one View, once and in order. Where the store no longer has the history, Get returns a *GapError once, and the next View's Changes are those since the View that the watcher returned last"},
	{"Writer", "writes: each makes one new revision and returns it, conditions are checked in the same step, all or nothing happens"},
	{"Stater", "reads without values: a Stat promises what a Get promises, and every Value is nil"},
	{"Summarizer", "summaries: the number of keys and those that were put since a revision, as a Get would show them at the same revision, without values"},
	{"Acknowledger", "acknowledged watches: once, when the watch has begun and before its first batch; one that is refused is not"},
	{"Errors", "errors: every failure matches the error of package kv that says what it is, and names the operation and the key"},
}

// title is the name of the guarantee, which its words begin with.
func (g guarantee) title() string {
	return g.words[:strings.IndexAny(g.words, ":,")]
}

// Check is one way to find out whether a guarantee is held.
type Check struct {
	Guarantee string
	Name      string
	Does      string // what is done, in a sentence
	Needs     Ability
	Alone     bool // no other check may run in this process meanwhile, whatever it tests
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
// backup, while it holds little, and last those that forget history, so that the long one is written once. What holds of
// Values and Maps comes after what it rests on.
func InTurn() []guarantee {
	sorted := slices.Clone(Guarantees)
	slices.SortStableFunc(sorted, func(a, b guarantee) int { return turn(a.ID) - turn(b.ID) })
	return sorted
}

// turn orders guarantees by when their checks run.
func turn(id string) int {
	switch {
	case id == "W13":
		return 0
	case id == "V5":
		return 1
	case id == "W7": // its first check restores a backup
		return 2
	case id == "W11": // its last check compacts
		return 4
	case id == "W8":
		return 5
	case strings.HasPrefix(id, "V"), strings.HasPrefix(id, "M"):
		return 6
	}
	return 3
}
