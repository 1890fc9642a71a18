package conformance

import (
	"context"
	"fmt"
	"strings"
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
type Store interface {
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
	// their edges is tested.
	Open func(t T) Store

	// Again returns a second store onto the same data as s, as another process would open it. Other functions
	// of the Backend may be given it as well.
	Again func(t T, s Store) Store

	// Commit says that the Store is a [kv.Committer].
	Commit bool

	// Compact makes the store forget the changes before rev. Entries that are live stay.
	Compact func(ctx context.Context, s Store, rev kv.Revision) error

	// Progress makes the running watches of s yield a bookmark soon. Where bookmarks come by themselves, several
	// a second, it does nothing.
	Progress func(ctx context.Context, s Store) error

	// Cut cuts s off from its data, as a network does that has failed, and no other store onto the same data.
	// heal ends that, and returns once s can be used again.
	Cut func(ctx context.Context, s Store) (heal func(context.Context) error, err error)

	// EndStreams makes every running watch of s fail, as a server that is shut down does. Watches that begin
	// later work. A watch may also survive it, if it loses nothing.
	EndStreams func(ctx context.Context, s Store) error

	// Backup remembers what the store holds, and restore takes the store back to that, as an operator does after
	// a disaster. restore returns once s can be used again.
	Backup func(ctx context.Context, s Store) (restore func(context.Context) error, err error)

	// WaitIdle returns once the store serves no watch of s any more, or fails when ctx ends. It is how a
	// backend shows that a watch that has ended is gone from the server too.
	WaitIdle func(ctx context.Context, s Store) error

	// Close closes s, so that using it is [kv.ErrClosed].
	Close func(s Store) error

	// TooLarge is a number of bytes that is more than the store takes as a value: putting them is
	// [kv.ErrTooLarge]. Not much more memory than that should be needed to try.
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
type T interface {
	Helper()
	Name() string
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// atOnce is how soon that has to happen which must not wait for anything. It is long because the machines on which
// tests run can be slow, and short beside the timeouts of networks.
const atOnce = 5 * time.Second

func (b Backend) patience() time.Duration {
	if b.Patience > 0 {
		return b.Patience
	}
	return 30 * time.Second
}

// ability is a set of what a check needs of a backend, beyond Open.
type ability int

const (
	again ability = 1 << iota
	commit
	compact
	progress
	cut
	endStreams
	backup
	waitIdle
	closing
	tooLarge
)

// abilities are the names of abilities, which are those of Backend's fields, and whether a backend has them.
var abilities = []struct {
	ability ability
	name    string
	of      func(Backend) bool
}{
	{again, "Again", func(b Backend) bool { return b.Again != nil }},
	{commit, "Commit", func(b Backend) bool { return b.Commit }},
	{compact, "Compact", func(b Backend) bool { return b.Compact != nil }},
	{progress, "Progress", func(b Backend) bool { return b.Progress != nil }},
	{cut, "Cut", func(b Backend) bool { return b.Cut != nil }},
	{endStreams, "EndStreams", func(b Backend) bool { return b.EndStreams != nil }},
	{backup, "Backup", func(b Backend) bool { return b.Backup != nil }},
	{waitIdle, "WaitIdle", func(b Backend) bool { return b.WaitIdle != nil }},
	{closing, "Close", func(b Backend) bool { return b.Close != nil }},
	{tooLarge, "TooLarge", func(b Backend) bool { return b.TooLarge > 0 }},
}

// moot returns why there is nothing about b that c could find broken, or "". A store whose every revision is one
// event keeps what is promised of commits.
func (b Backend) moot(c check) string {
	if c.needs&commit != 0 && !b.Commit {
		return "the store has no commits"
	}
	return ""
}

// notClaimed returns why c cannot be asked of b, or "".
func (b Backend) notClaimed(c check) string {
	for _, name := range []string{c.guarantee, c.path()} {
		if reason, ok := b.NotClaimed[name]; ok {
			return "the backend says: " + reason
		}
	}
	var missing []string
	for _, a := range abilities {
		if c.needs&a.ability != 0 && !a.of(b) {
			missing = append(missing, a.name)
		}
	}
	if missing == nil {
		return ""
	}
	return "needs Backend." + strings.Join(missing, ", Backend.")
}

// validate returns what is wrong with b itself.
func (b Backend) validate() error {
	if b.Open == nil {
		return fmt.Errorf("conformance: Backend.Open is required")
	}
	known := make(map[string]bool)
	for _, c := range allChecks() {
		known[c.guarantee], known[c.path()] = true, true
	}
	for name, reason := range b.NotClaimed {
		if !known[name] {
			return fmt.Errorf("conformance: Backend.NotClaimed has %q, which is no guarantee and no check", name)
		}
		if reason == "" {
			return fmt.Errorf("conformance: Backend.NotClaimed has no reason for %q", name)
		}
	}
	return nil
}
