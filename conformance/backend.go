package conformance

import (
	"context"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Store is what the suite tests: a store that can be written to. If the backend's reader and writer are different types, put
// both into one:
//
//	struct {
//		kv.Store
//		kv.Writer
//	}{reader, writer}
type Store = interface {
	kv.Store
	kv.Writer
}

// Backend describes the store to be tested: how to open one, and what it can do. Only Open is required. A field left zero is
// not claimed: the checks that need it are not run, and the summary lists them. A claim that does not hold is a failure.
//
// The functions that take a Store get one that Open or Again returned. They are called from one goroutine at a time, while
// others may use the Store. They return when the work is done, and fail only when something is broken.
type Backend struct {
	// Open returns a store for one check, and uses t.Cleanup to close what has to be closed after it. It may return a new
	// store each time, or another client of a store that all checks share: each check uses its own keys, and expects of
	// revisions only that they rise. No other program may write to the store while a check runs.
	//
	// A backend that reads or watches in pages, or buffers, should open with small ones, so that their edges are tested. A watch
	// should hold less than a megabyte for a consumer that is blocked, and no page of more than a thousand revisions. W11 measures
	// that, and does not find every page that is somewhat larger. For what T does not have, such as a temporary directory, use the test's own [*testing.T].
	Open func(t T) Store

	// Again returns a second store over the same data as s, as another process would open it. It shares nothing with s but
	// the data: no connection, no lock and no cache. If a process can open the data only once, the stores may share the
	// handle, and nothing else. Again uses t.Cleanup to close the store after the check. Other functions of the Backend may
	// get this store as well.
	Again func(t T, s Store) Store

	// Commit says that the Store is a [kv.Committer].
	Commit bool

	// Compact makes the store forget the changes before rev, and returns when that is done. Live entries stay, with their
	// metadata, and the change at rev itself should stay too. A store may forget more, if its CompactedError says so. It may
	// forget less, if it delivers all of that. rev is a revision that a write returned, and never a future one. A second
	// compaction never has a lower rev than one before it. Watches may be running.
	Compact func(ctx context.Context, s Store, rev kv.Revision) error

	// Progress makes every running watch of s that has delivered everything yield a bookmark soon, at the newest revision or
	// later, also if nothing has happened to the watch since its last batch. It need not wait for the bookmarks. If
	// bookmarks come by themselves, several a second, it does nothing. It may make a revision by writing a key that no check
	// uses. It is called while others write.
	Progress func(ctx context.Context, s Store) error

	// Cut cuts s off from its data, as a failed network does. It cuts off only s: other stores over the same data, from
	// Again, read, write and compact as before.
	//
	// During the cut, calls of s must hang until their context ends and then return its error at once, or fail with
	// [kv.ErrUnavailable]. This holds for writes too: a write begun during the cut may happen, now or after the heal, or
	// not. Running watches hang, or end with kv.ErrUnavailable. A watch that hangs goes on after the heal without a gap, or
	// ends then. During the cut no cache may answer for s, which would break S1.
	//
	// heal ends the cut, and returns when s can be used again: the next Get, Put and Watch succeed at their first attempt.
	// So heal waits for a client that needs time to reconnect. Its context is not the check's: the cut is also healed after
	// the check has failed.
	Cut func(ctx context.Context, s Store) (heal func(context.Context) error, err error)

	// EndStreams makes every running watch of s fail, as a server does that is shut down. The watches end with
	// [kv.ErrUnavailable] soon, or survive and lose nothing: both are right. Calls of s that are under way may fail with
	// kv.ErrUnavailable too. Calls of other stores over the same data must not fail. So break the connections of s rather than
	// restart the server.
	//
	// EndStreams returns when s can be used again: the next Get, Put and Watch succeed at their first attempt. So it waits for
	// a client that needs time to reconnect.
	EndStreams func(ctx context.Context, s Store) error

	// Backup remembers the contents of the store. restore takes the store back to them, as an operator does after a
	// disaster: the entries, with their metadata, are those of the backup, and later writes are gone. Revisions may go back
	// too, or go on rising. Both functions return when s can be used again. Their contexts end with the run: they may take
	// longer than Patience.
	//
	// Both may restart the server while watches of s run, which then end with [kv.ErrUnavailable]. No check writes meanwhile.
	// After the restore, at the latest when s has been read, a watch that has delivered changes that are gone ends with
	// [kv.ErrReset]. If it has ended with ErrUnavailable before that, the next watch of s after the same revision ends with
	// ErrReset, as long as the new history has not reached that revision. So s has to remember the history to which the
	// revisions belong that it has returned. A watch that has delivered nothing that is gone may do the same, or go on.
	Backup func(ctx context.Context, s Store) (restore func(context.Context) error, err error)

	// WaitIdle returns when the store serves no watch of s any more, or fails when ctx ends. It shows that an ended watch is
	// gone from the server too: count what the server holds for watches, such as subscriptions, cursors or connections. If no
	// server holds anything for a watch, as when a file or a table is polled, return nil at once. Leave it nil if the server
	// does not tell.
	WaitIdle func(ctx context.Context, s Store) error

	// Close closes s, so that using it is [kv.ErrClosed].
	Close func(s Store) error

	// TooLarge is a number of bytes that is too large for a value: a put of such a value is [kv.ErrTooLarge]. It is more
	// than 1 MiB, which every store accepts (S6). A check needs little more memory than that.
	TooLarge int

	// NotClaimed lists guarantees ("W7"), or single checks ("S6/keys"), that the store does not give, each with the reason,
	// for the summary. It is for what the backend cannot give. The documentation of the store should say the same.
	NotClaimed map[string]string

	// Patience is how long a check waits for something that must come before the check fails: 30 seconds unless set. With a
	// store that keeps the contract, no check waits that long. It is also the limit of each call of a store and of the
	// functions above, but for Backup and its restore.
	Patience time.Duration
}

// T is the part of [*testing.T] that checks use, and that a Backend's Open and Again may use. Fatalf ends the check, not the
// run. Context is done when the check is over, and so before the functions are called that Cleanup was given, as with testing.T.
// A cleanup that needs a context makes one.
type T = interface {
	Helper()
	Name() string
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}
