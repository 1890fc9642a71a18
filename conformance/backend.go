package conformance

import (
	"context"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Store is what the suite tests: a store that can be written to. Where a backend's reader and its writer are
// different types, put both into one:
//
//	struct {
//		kv.Store
//		kv.Writer
//	}{reader, writer}
type Store = interface {
	kv.Store
	kv.Writer
}

// Backend is a store to be tested: how to open one, and what it can do. Only Open is required. What is left
// zero is not claimed: the checks that need it are not run, and the summary lists them. What is claimed and does
// not work is a failure.
//
// The functions that take a Store are given one that Open returned. They are called from one goroutine at a
// time, while others may be using the Store. They return when the thing is done, and only fail when something
// is broken.
type Backend struct {
	// Open returns a store for one check, and arranges with t.Cleanup for what has to be closed after it. It may
	// return a new store each time, or another client of one that all checks share: checks use keys of their
	// own, and expect of revisions only that they rise. Nobody else may write to the store while a check runs.
	//
	// A backend that reads or watches in pages, or buffers, should open with small ones, so that what goes on at
	// their edges is tested. For what T does not have, such as a temporary directory, take the
	// test's own [*testing.T].
	Open func(t T) Store

	// Again returns a second store onto the same data as s, as another process would open it: it shares nothing
	// with s but the data, no connection, no lock and no cache. Where a process can open the data only once it may share
	// the handle, and nothing else. Again arranges with t.Cleanup that it is closed when
	// the check is over. Other functions of the Backend may be given it as well.
	Again func(t T, s Store) Store

	// Commit says that the Store is a [kv.Committer].
	Commit bool

	// Compact makes the store forget the changes before rev, and returns when that is done. Entries that are
	// live stay, with their metadata, and the change at rev itself should stay, too. A store may forget more, if
	// its CompactedError says so, or less, if it delivers all of that. rev is one that a write returned, never
	// one to come; a second compaction never asks for less than one before it. Watches may be running.
	Compact func(ctx context.Context, s Store, rev kv.Revision) error

	// Progress makes every running watch of s that has delivered all there is yield a bookmark soon, of at least
	// the newest revision: also one to which nothing has happened since its last batch. It need not wait for
	// them. Where bookmarks come by themselves, several a second, it does nothing. It may make a revision, by
	// writing a key that is none of the check's; what a check expects of revisions allows for that. It is
	// called while others write.
	Progress func(ctx context.Context, s Store) error

	// Cut cuts s off from its data, as a network does that has failed: s alone. Other stores onto the same
	// data, which Again opened before or opens meanwhile, read, write and compact as ever.
	//
	// Calls of s must then hang until their context ends, when they return its error at once, or fail with
	// [kv.ErrUnavailable]. That holds for writes as well: one that was begun while cut off may have happened
	// or not, or happen after the heal. Running watches hang, or end with kv.ErrUnavailable; those that hang go on
	// after the heal without a gap, or end then. While cut off s must not be answered from a cache, which would
	// break S1.
	//
	// heal ends the cut, and returns once s can be used again: the next Get, Put and Watch succeed at their
	// first attempt. A client that needs time to reconnect is waited for in heal. Its context is not the
	// check's: the cut is healed also where that has failed.
	Cut func(ctx context.Context, s Store) (heal func(context.Context) error, err error)

	// EndStreams makes every running watch of s fail, as a server that is shut down does, and returns when s can
	// be used again. The watches end with [kv.ErrUnavailable] soon, or ride it out and lose nothing: either
	// is right. What others write meanwhile must not fail, through s or another store; so a server is restarted only
	// where its clients do not notice, and else their connections are broken.
	EndStreams func(ctx context.Context, s Store) error

	// Backup remembers what the store holds, and restore takes the store back to that, as an operator does after
	// a disaster: the entries, with their metadata, are those of the backup, and what was written since is
	// gone. Whether revisions go back as well, or on from where they were, is up to the store. Both return
	// once s can be used again.
	//
	// Both may restart the server, while watches of s run; nobody writes meanwhile. After the restore, at the latest
	// when s was read, a watch that has delivered what is gone ends with [kv.ErrReset]. It may end with
	// [kv.ErrUnavailable] before that, if then the next watch of s after the same revision ends with ErrReset: so s has to
	// remember of which history the revisions are that it handed out. A watch that has delivered nothing that
	// is gone may do the same, or go on.
	Backup func(ctx context.Context, s Store) (restore func(context.Context) error, err error)

	// WaitIdle returns once the store serves no watch of s any more, or fails when ctx ends. It is how a
	// backend shows that a watch that has ended is gone from the server too: count what the server holds for it, as
	// subscriptions, cursors or connections. A store for which no server holds anything leaves it out.
	WaitIdle func(ctx context.Context, s Store) error

	// Close closes s, so that using it is [kv.ErrClosed].
	Close func(s Store) error

	// TooLarge is a number of bytes that is more than the store takes as a value: putting them is
	// [kv.ErrTooLarge]. It is more than 1 MiB, which every store takes (S6). Not much more memory than that should
	// be needed to try.
	TooLarge int

	// NotClaimed lists guarantees ("W7"), or single checks ("S6/keys"), that the store does not give, each with
	// the reason, for the summary. It is for what cannot be had from a backend, and its users should be told.
	NotClaimed map[string]string

	// Patience is how long to wait for what has to come before calling it broken: 30 seconds unless set. No
	// check of a store that keeps the contract waits that long for anything.
	Patience time.Duration
}

// T is the part of [*testing.T] that checks use, and that a Backend's Open may use. Fatalf ends the check, not the
// run. Context is done when the check is over.
type T = interface {
	Helper()
	Name() string
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}
