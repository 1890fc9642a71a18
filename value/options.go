package value

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// Option configures a [Value].
type Option func(*config)

// config is what the options of a Value come to.
type config struct {
	upstream.Settings
	fallback    any // the value of WithDefault
	hasFallback bool
	backlog     int
}

const (
	defaultRetryFirst = 50 * time.Millisecond
	defaultRetryMost  = 10 * time.Second
	defaultCheckEvery = time.Minute
	defaultBacklog    = 1024

	// backlogBytes bounds the backlog by the encoded size of its updates, beside their number.
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

func (c *config) validate(store kv.Store, key string) error {
	switch {
	case store == nil:
		return errors.New("nil store")
	case c.RetryFirst <= 0 || c.RetryMost < c.RetryFirst:
		return fmt.Errorf("WithRetry(%v, %v): want 0 < first <= most", c.RetryFirst, c.RetryMost)
	case c.CheckEvery < 0:
		return fmt.Errorf("WithCheck(%v): negative", c.CheckEvery)
	case c.MaxStaleness != 0 && c.MaxStaleness < upstream.LeastStaleness:
		return fmt.Errorf("WithMaxStaleness(%v): want 0 or at least %v, as a read takes its time", c.MaxStaleness, upstream.LeastStaleness)
	case c.backlog < 1:
		return fmt.Errorf("WithBacklog(%d): want at least 1", c.backlog)
	}
	return kv.ValidateKey(key)
}

// WithDefault makes an absent key read as v: at once where there is no key yet, and in place of
// [ErrDeleted] when it is deleted. v must be of the Value's own type, or every Get fails and says so.
func WithDefault[T any](v T) Option {
	return func(c *config) { c.fallback, c.hasFallback = v, true }
}

// WithLogger has the Value log what no Get tells: a newest value that does not decode, with the decoder's text, which may quote
// the value; outages and their end, an update that is too large, a watch that died unnoticed, history that was lost
// or replaced, lost events that the audit found, and once, after a few seconds, that it waits for a key to be created. The
// default is not to log. An outage counts as ended once the new watch has lasted for some seconds.
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.Logger = l } }

// WithRetry sets the delays between attempts to reach a store that fails: about first, then doubling up
// to most, each with jitter, and from the beginning again once the store has delivered something. The
// default is 50 ms to 10 s.
func WithRetry(first, most time.Duration) Option {
	return func(c *config) { c.RetryFirst, c.RetryMost = first, most }
}

// WithCheck sets after how long a silence the store is asked, with one small linearizable read of the
// Value's own key, whether the watch is still what it seems. That finds streams that died unnoticed,
// permissions that were taken away and history that was replaced. The default is one minute; zero switches
// the check off.
func WithCheck(silence time.Duration) Option { return func(c *config) { c.CheckEvery = silence } }

// WithMaxStaleness has every Get say [ErrStale], rather than return old news, once the store has not
// confirmed the value by a linearizable read begun less than d ago. The key is then read every d/2, counted from the beginning
// of a read, also while watches fail, and again d/4 later if there is no answer; so a small d costs requests, and d has to be
// more than twice what a read takes. A limit below 100 ms cannot be met by a store over a network. It is refused: every Get
// fails and says so. While the store cannot be reached each watcher is notified once every d, or at each TryGet, and
// goes on as before when it can be again. That it can is not told where the value is what it was: keep the value, and
// ask the Age of [Value.Latest], which has no limit of its own, or [Status].Confirmed, whether it may be acted on again.
// The default, zero, is no limit.
func WithMaxStaleness(d time.Duration) Option { return func(c *config) { c.MaxStaleness = d } }

// WithBacklog sets how many updates a Value keeps in memory for all its [EveryUpdate] watchers together, until each has
// read them; a watcher that is further behind reads the store's own history. The default is 1024. Independent of it, no more than 16 MiB are kept.
func WithBacklog(updates int) Option { return func(c *config) { c.backlog = updates } }

// WatchOption configures one [Watcher].
type WatchOption func(*watchConfig)

type watchConfig struct{ every bool }

// EveryUpdate gives the watcher each update once and in order, instead of the newest only. It begins at its first
// Get, which returns the value as it is then: what came before, also since Watch was called, is not told. Two changes of
// the key in one revision are one update. A watcher that falls further behind than [WithBacklog] reads on from the
// store's own history; where that was compacted it is told so by one [*GapError], and goes on from the newest. After a
// restore to the very entry it returned last it is told nothing (V5), though it may not have seen all of what was undone.
func EveryUpdate() WatchOption { return func(c *watchConfig) { c.every = true } }

// GetOption narrows down what a Get of a Watcher[T] returns.
type GetOption[T any] func(*getConfig[T])

type getConfig[T any] struct {
	keep    []func(T) bool
	atLeast kv.Revision
}

// Where has Get pass over values that keep does not want. A later Get does not return what was passed over.
// Errors and deletions are returned all the same; a default value is asked about like any other. A keep that panics does so
// in Get, and has passed the value over.
func Where[T any](keep func(T) bool) GetOption[T] {
	return func(c *getConfig[T]) { c.keep = append(c.keep, keep) }
}

// AtLeast has Get return the value as it was at revision rev or later, for a program that has written at
// rev and wants to see its own write, or what came after it. What is older is passed over as with [Where].
// Get still returns only what is newer than what the watcher returned before. It makes a read, which shows whether the store's
// history is still the one that rev is of. After history was replaced, and has not come to rev, the newest is returned: rev was
// a revision of the history that is gone. T has to be given, as in AtLeast[Limits](rev).
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
