package suite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Backend has the fields of the Backend of package conformance. The fields are documented there. A value of one type is converted to the
// other.
type Backend struct {
	Open       func(T) Store
	Again      func(T, Store) Store
	Commit     bool
	Compact    func(context.Context, Store, kv.Revision) error
	Progress   func(context.Context, Store) error
	Cut        func(context.Context, Store) (heal func(context.Context) error, err error)
	EndStreams func(context.Context, Store) error
	Backup     func(context.Context, Store) (restore func(context.Context) error, err error)
	WaitIdle   func(context.Context, Store) error
	Close      func(Store) error
	TooLarge   int
	NotClaimed map[string]string
	Patience   time.Duration
}

// Store is what the suite tests. It is an alias, as T is, so that the functions of both Backends are of the same types.
type Store = interface {
	kv.Store
	kv.Writer
}

// T is what a check reports to.
type T = interface {
	Helper()
	Name() string
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// atOnce bounds the time of what must happen without waiting. It is long because machines that run tests can be slow. It is short
// compared with the timeouts of networks.
const atOnce = 5 * time.Second

func (b Backend) patience() time.Duration {
	if b.Patience > 0 {
		return b.Patience
	}
	return 30 * time.Second
}

// Ability is a set of things that a check needs from a backend, in addition to Open.
type Ability int

const (
	Again Ability = 1 << iota
	Commit
	Compact
	Progress
	Cut
	EndStreams
	Backup
	WaitIdle
	Closing
	TooLarge
)

// abilities are the names of the abilities, and whether a backend has them. The names are those of Backend's fields.
var abilities = []struct {
	ability Ability
	name    string
	of      func(Backend) bool
}{
	{Again, "Again", func(b Backend) bool { return b.Again != nil }},
	{Commit, "Commit", func(b Backend) bool { return b.Commit }},
	{Compact, "Compact", func(b Backend) bool { return b.Compact != nil }},
	{Progress, "Progress", func(b Backend) bool { return b.Progress != nil }},
	{Cut, "Cut", func(b Backend) bool { return b.Cut != nil }},
	{EndStreams, "EndStreams", func(b Backend) bool { return b.EndStreams != nil }},
	{Backup, "Backup", func(b Backend) bool { return b.Backup != nil }},
	{WaitIdle, "WaitIdle", func(b Backend) bool { return b.WaitIdle != nil }},
	{Closing, "Close", func(b Backend) bool { return b.Close != nil }},
	{TooLarge, "TooLarge", func(b Backend) bool { return b.TooLarge > 0 }},
}

// moot returns why c can find nothing broken in b, or "". For example, a store whose revisions all have one event keeps every promise about
// commits.
func (b Backend) moot(c Check) string {
	if c.Needs&Commit != 0 && !b.Commit {
		return "the store has no commits"
	}
	return ""
}

// notClaimed returns why c cannot run on b, or "".
func (b Backend) notClaimed(c Check) string {
	for _, name := range []string{c.Guarantee, c.Path()} {
		if reason, ok := b.NotClaimed[name]; ok {
			return "the backend says: " + reason
		}
	}
	var missing []string
	for _, a := range abilities {
		if c.Needs&a.ability != 0 && !a.of(b) {
			missing = append(missing, a.name)
		}
	}
	if missing == nil {
		return ""
	}
	return "needs Backend." + strings.Join(missing, ", Backend.")
}

// validate returns the mistake in b, or nil.
func (b Backend) validate(checks []Check) error {
	if b.Open == nil {
		return fmt.Errorf("conformance: Backend.Open is required")
	}
	known := make(map[string]bool)
	for _, c := range checks {
		known[c.Guarantee], known[c.Path()] = true, true
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
