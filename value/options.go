package value

import (
	"log/slog"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// Option configures a [Value].
type Option func(*config)

// config is the result of the options of a Value.
type config struct {
	upstream.Settings
	fallback    any // the value of WithDefault
	hasFallback bool
	keepLatest  bool
	backlog     int

	lastKnown      LastKnown // nil for none
	lastKnownAfter time.Duration
	keepsLastKnown bool // WithLastKnown was given, whatever its arguments
}

const (
	defaultRetryFirst = 50 * time.Millisecond
	defaultRetryMost  = 10 * time.Second
	defaultCheckEvery = time.Minute
	defaultBacklog    = 1024

	// backlogBytes bounds the backlog by the encoded size of its updates, in addition to their number.
	backlogBytes = 16 << 20
)

func newConfig(opts []Option) config {
	c := config{
		Settings: upstream.Settings{RetryFirst: defaultRetryFirst, RetryMost: defaultRetryMost, CheckEvery: defaultCheckEvery},
		backlog:  defaultBacklog,
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	return c
}

// WithDefault makes an absent key read as v. A Get returns v at once if the key is absent, and instead of [ErrDeleted] when the key
// is deleted. v must have the Value's own type. Otherwise every Get fails and reports that.
func WithDefault[T any](v T) Option {
	return func(c *config) { c.fallback, c.hasFallback = v, true }
}

// WithLatestAfterDeletion makes [Value.Latest] keep the last good value when the key is deleted. Without it Latest then has none. It changes
// nothing for a Value that has [WithDefault]: there Latest is the default while the key is deleted.
func WithLatestAfterDeletion() Option { return func(c *config) { c.keepLatest = true } }

// WithLogger makes the Value log what Get does not return:
//
//   - the beginning and the end of an outage, and a watch that died unnoticed;
//   - a newest value that does not decode, with the decoder's text, which may quote the value;
//   - an update that is too large, history that was lost or replaced, and lost events that the audit found;
//   - once, after a few seconds, that the key is absent and the Value waits for it.
//
// An outage has ended when the new watch has lasted for some seconds. By default nothing is logged.
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.Logger = l } }

// WithRetry sets the delays between attempts to reach a store that fails. The first delay is about first. Each later delay is twice as
// long, up to most, and all have jitter. The delays start over when the store has delivered something. The default is 50 ms to 10 s.
func WithRetry(first, most time.Duration) Option {
	return func(c *config) { c.RetryFirst, c.RetryMost = first, most }
}

// WithCheck sets how long the watch may be silent before the Value checks it with one small linearizable read of its key. The check
// finds a watch that died unnoticed, a permission that was taken away, and history that was replaced. The default is one
// minute. Zero switches the check off.
func WithCheck(silence time.Duration) Option { return func(c *config) { c.CheckEvery = silence } }

// WithMaxStaleness bounds the age of what Get returns. Get returns [ErrStale] if the store has not confirmed the value by a
// linearizable read that began less than d ago.
//
// The key is read every d/2, counted from the beginning of a read, also while watches fail. If there is no answer, it is read again
// d/4 later. So a small d costs requests, and d must be more than twice the time of a read. A limit below 100 ms cannot be met over
// a network and is refused: every Get fails and reports that.
//
// While the store cannot be reached, each watcher gets ErrStale once every d, and at each TryGet. After that the watcher works as
// before. If the value is then the same as before the outage, Get keeps waiting: keep the value. The Age of [Value.Latest] and
// [Status].Confirmed show whether the program may act on it again. Latest itself has no limit. The default is zero, no limit.
//
// Steps of the machine's clock do not change an age. On Linux and some other systems, neither does the time in which the machine is suspended.
func WithMaxStaleness(d time.Duration) Option { return func(c *config) { c.MaxStaleness = d } }

// WithBacklog sets how many updates a Value keeps in memory for all its [EveryUpdate] watchers together, until each has read
// them. A watcher that is further behind reads the store's own history. The default is 1024. In any case at most 16 MiB are kept.
func WithBacklog(updates int) Option { return func(c *config) { c.backlog = updates } }

// WithLastKnown makes the Value use what known has kept if the store does not answer: if no read has succeeded, and none was refused, for the
// time after. That time begins when the first watcher is opened. Then the first Get of each watcher returns the last known value, and so
// does [Value.Latest]. The Reading and the Status report it as LastKnown. This ends with the first answer of the store, whatever it is. If
// the store then has another entry, or none, those watchers return that as a change, even if its revision is lower.
//
// The last known value is also used if the newest value in the store does not decode and no good value has been seen. Then the first Get of a
// watcher returns the last known value, and the next Get returns the [*DecodeError]. This holds only while the key has not been deleted
// since. For a [Map] the last known value is that of the one bad key.
//
// While a watcher is open, a goroutine of the Value saves each good value, so no Get waits for that. It saves at most once a second, and less
// often if saving is slow. If several values arrive in between, it saves only the newest. A save that fails is tried again, with delays that
// grow to a minute. The last [Watcher.Close] waits until saving has ended. A Map also saves a bad value if no good value of its key is known,
// so that no key is missing. Errors are logged and reported in [Status].LastKnownError. They never end anything.
//
// The time of what is saved is that at which the store confirmed it. With [WithMaxStaleness] of d, what does not change is saved again when
// the store has confirmed it, once every d/4 and at most once a minute. So it can be used after a crash, however long ago its last change was.
// Without a limit, the time is that of the last change or of the last Close.
//
// Watchers for [EveryUpdate], and a Get with [AtLeast], wait for the store. A value that the store confirmed longer ago than
// [WithMaxStaleness] allows is not used, nor is one that was confirmed in the future, as the clock has it. The store no longer confirms a good
// value that has a bad one after it. What is saved of a Map is as old as the oldest of its values: if one of them is too old, all wait for the
// store. So a good value that has had a bad one after it for longer than the limit is not saved: its key is saved with the bad value. A Map
// with this option keeps the bytes of all values in memory.
func WithLastKnown(known LastKnown, after time.Duration) Option {
	return func(c *config) { c.lastKnown, c.lastKnownAfter, c.keepsLastKnown = known, after, true }
}

// WatchOption configures one [Watcher].
type WatchOption func(*watchConfig)

type watchConfig struct {
	every       bool
	after       *kv.Revision // of EveryUpdateAfter
	absence     bool
	previous    bool
	quiet, most time.Duration
}

// EveryUpdate makes the watcher return each update once and in order, instead of the newest only. The watcher begins at its first Get,
// which returns the value at that time. Earlier updates, also those since Watch was called, are not returned. Two changes of the key
// in one revision are one update. A watcher that falls further behind than [WithBacklog] reads the store's own history. If that
// history was compacted, the watcher gets one [*GapError] and continues from the newest value. After a restore to the very entry
// that it returned last, it returns nothing (V5), even if it has not returned all of what was undone.
func EveryUpdate() WatchOption { return func(c *watchConfig) { c.every = true } }

// EveryUpdateAfter is [EveryUpdate] for a program that stores the revision of the last update that it has processed, and continues after it
// when it starts again: the first Get returns the first update after rev, and waits if there is none. Before its first start the program
// reads the key with EveryUpdate, or passes a rev of 0 to have all of the history that the store still has.
//
// The updates come from the store's own history, as V4 says. If that was compacted, the first Get returns a [*GapError] from rev, and the
// watcher continues from the newest value. The same holds if the store has not reached rev: then it was restored to an older state, and the
// Err of the GapError matches [kv.ErrReset]. A restored store that has reached rev again cannot be distinguished. A rev below zero,
// and a [Map] or a bundle, are refused: each Get fails and reports that.
func EveryUpdateAfter(rev kv.Revision) WatchOption {
	return func(c *watchConfig) { c.every, c.after = true, &rev }
}

// ReportAbsence makes the first Get of the watcher return at once if the key is absent, with an error that matches [kv.ErrNotFound]. Without it
// that Get waits until the key exists.
func ReportAbsence() WatchOption { return func(c *watchConfig) { c.absence = true } }

// KeepPrevious makes the watcher keep the value that it returned before, for [Watcher.Previous].
func KeepPrevious() WatchOption { return func(c *watchConfig) { c.previous = true } }

// Quiet makes the watcher wait out bursts: after the first value, Get returns the newest one when nothing newer has come for the time quiet,
// or when the burst has lasted for the time longest. What a channel offers is held back in the same way. A Quiet of zero
// changes nothing, and neither does one with [EveryUpdate].
func Quiet(quiet, longest time.Duration) WatchOption {
	return func(c *watchConfig) { c.quiet, c.most = quiet, longest }
}

// GetOption restricts what a Get of a Watcher[T] returns.
type GetOption[T any] func(*getConfig[T])

type getConfig[T any] struct {
	keep    []func(T) bool
	equal   func(a, b T) bool
	atLeast kv.Revision
}

// Where makes Get skip values for which keep returns false. A later Get does not return a skipped value. Errors and deletions are
// returned in any case. keep is also called for a default value. If keep panics, Get panics, and the value counts as skipped.
func Where[T any](keep func(T) bool) GetOption[T] {
	return func(c *getConfig[T]) { c.keep = append(c.keep, keep) }
}

// IfChanged makes Get skip a value that is equal to the value which this watcher returned last, by the function equal. A value that follows a
// deletion or a bad value is returned in any case.
func IfChanged[T any](equal func(a, b T) bool) GetOption[T] {
	return func(c *getConfig[T]) { c.equal = equal }
}

// AtLeast makes Get return the value at revision rev or later. A program that has written at rev sees its own write, or a later one.
// Older values are skipped, as with [Where]. Get still returns only what is newer than what the watcher returned before.
//
// Such a Get makes a read. The read shows whether the store's history is still the one that rev belongs to. If history was replaced and
// has not reached rev, Get returns the newest value, because rev was a revision of the old history. On a Map of many keys the read
// transfers a few bytes if the watch brings the write, but the store looks at all keys of the range. The type must be given, as in
// AtLeast[Limits](rev).
func AtLeast[T any](rev kv.Revision) GetOption[T] {
	return func(c *getConfig[T]) { c.atLeast = max(c.atLeast, rev) }
}

func newGetConfig[T any](opts []GetOption[T]) getConfig[T] {
	if len(opts) == 0 {
		return getConfig[T]{} // what an option may see is allocated
	}
	var c getConfig[T]
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	return c
}

func (c *getConfig[T]) wants(v T) bool {
	for _, keep := range c.keep {
		if !keep(v) {
			return false
		}
	}
	return true
}

// An UpdateOption describes the writes of [Update], [Create] and [Delete]. It decides what these do when the acknowledgement of a write is
// lost.
type UpdateOption func(*updateConfig)

type updateConfig struct{ distinct, idempotent bool }

// Idempotent says that the change may be made twice: making it again to its own result changes nothing, as with a flag that is
// set, or a name that is added to a list. When the acknowledgement of a write is lost, the key is read and the change is made to
// what is there, until a write is acknowledged or nothing is left to change. So the outcome is only unknown if the call ends
// without success.
//
// A write whose acknowledgement was lost may then happen late, but only while the key is as the call has read it. For a
// creation this means that a key which somebody deletes may come back once.
func Idempotent() UpdateOption { return func(c *updateConfig) { c.idempotent = true } }

// Distinct says that no two calls write equal bytes, because each value contains something unique: a random number, or the name of
// the writer and a number that it counts. Then a call whose acknowledgement was lost recognizes its own write, and the outcome
// of an Update that replaces a value is only unknown if the store cannot be asked. If the promise is not kept, a call may take
// another's write for its own.
func Distinct() UpdateOption { return func(c *updateConfig) { c.distinct = true } }
