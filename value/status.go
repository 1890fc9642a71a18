package value

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// Status is what is going on between a [Value] and its store.
type Status struct {
	// Connected: the key was read, and the store has acknowledged the watch. It is false while no watcher is open. Where
	// the store reports no outage, it stays true until the read of [WithCheck] has had no answer for ten seconds.
	Connected bool
	// Since is when Connected last changed, or when the first attempt of all failed; zero before that.
	Since time.Time
	// LastError is what last ended a connection or an attempt at one; nil if nothing has. It is kept when the
	// connection is back.
	LastError error
	// BadValue is the [*DecodeError] of the newest value; nil while the newest value is good, or absent. Latest then
	// returns an older value.
	BadValue error
	// Revision is the newest of the store's that is known: nothing in the key's history up to it is unknown
	// to a watcher of the newest.
	Revision kv.Revision
	// Confirmed is when the last linearizable read that the store answered was begun. A watch that delivers
	// confirms nothing: what it brings may be late.
	Confirmed time.Time
	// Watchers is how many are open.
	Watchers int
	// Holes is how many times the audit of the key's versions proved that the store's watch had lost an event.
	// Each was followed by reading afresh.
	Holes int
	// Resets is how many times the store's history was found replaced.
	Resets int
}

// health keeps the Status of an upstream, and logs its outages.
type health struct {
	config *config
	key    string

	mu     sync.Mutex
	status Status // without Confirmed and Watchers
	out    bool   // an outage was logged that has not ended
	logged string // with this error, where that is not of a read: it may not say the cause
}

func (h *health) connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setLocked(true)
}

// steady says that a connection lasts: one that dies at once does not end an outage.
func (h *health) steady() {
	h.mu.Lock()
	was := h.out
	h.out = false
	h.mu.Unlock()
	if was {
		h.log(slog.LevelInfo, "the store is back")
	}
}

// failed takes the end of a connection, or of an attempt at one. A passing one is met by trying again at once. In an outage, the
// error of a read that failed is its cause: silence does not hide it, and the log has it, also if it is known only later.
func (h *health) failed(err error, passing bool) {
	told := isTold(err) && !errors.Is(err, errRefused) && !errors.Is(err, kv.ErrTooLarge)
	silent := errors.Is(err, errNoAnswer)
	h.mu.Lock()
	h.setLocked(false)
	if hides := silent && h.out && !errors.Is(h.status.LastError, errNoAnswer); !hides {
		h.status.LastError = err
	}
	begins := !h.out && !passing && !told
	explains := h.out && h.logged != "" && explains(err, h.logged)
	switch {
	case begins && (silent || !errors.Is(err, errReadFailed)):
		h.out, h.logged = true, err.Error()
	case begins || explains:
		h.out, h.logged = true, ""
	}
	h.mu.Unlock()
	switch {
	case begins && helpedByReading(err):
		h.log(slog.LevelWarn, "the watch ends each time before it is of use; trying again until it is", "error", err)
	case begins && errors.Is(err, kv.ErrTooLarge):
		h.log(slog.LevelWarn, "what the store answers is larger than its client accepts; trying again until it is not", "error", err)
	case begins:
		h.log(slog.LevelWarn, "the store cannot be reached; trying again until it can", "error", err)
	case explains:
		h.log(slog.LevelWarn, "the store still cannot be reached, and this is why", "error", err)
	case passing && errors.Is(err, kv.ErrTooLarge):
		h.log(slog.LevelWarn, "an update is larger than the store's client accepts; reading the newest", "error", err)
	case passing && errors.Is(err, errBehind):
		h.log(slog.LevelWarn, "the watch had stopped delivering; reading and watching again", "error", err)
	}
}

// explains reports whether err, of a read, names a cause that is not in the text logged.
func explains(err error, logged string) bool {
	op, ok := errors.AsType[*kv.OpError](err)
	return ok && op.Cause != nil && errors.Is(err, errReadFailed) && !errors.Is(err, errNoAnswer) &&
		!strings.Contains(logged, op.Cause.Error())
}

// newest takes the error of the newest value, nil if it is good. A bad value is logged once.
func (h *health) newest(bad error) {
	h.mu.Lock()
	was := h.status.BadValue
	h.status.BadValue = bad
	h.mu.Unlock()
	if bad != nil && bad != was {
		h.log(slog.LevelError, "the newest value does not decode; keeping the last good one", "error", bad)
	}
}

func (h *health) stopped() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setLocked(false)
	h.out = false
}

func (h *health) setLocked(connected bool) {
	if h.status.Connected != connected || h.status.Since.IsZero() {
		h.status.Connected, h.status.Since = connected, time.Now()
	}
}

func (h *health) saw(r kv.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Revision = max(h.status.Revision, r)
}

// restarted forgets the revision of an earlier upstream: the store may have been replaced since.
func (h *health) restarted(at kv.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Revision = at
}

// lost counts and logs a lost event.
func (h *health) lost(err error) {
	h.mu.Lock()
	h.status.Holes++
	h.mu.Unlock()
	h.log(slog.LevelError, "the watch lost an event; resuming", "error", err)
}

func (h *health) reset(to kv.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Resets++
	h.status.Revision = to
}

func (h *health) load() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

// log is called without the mutex: what handles a record may ask for the Status.
func (h *health) log(level slog.Level, msg string, args ...any) {
	if h.config.logger != nil {
		h.config.logger.Log(context.Background(), level, msg, append([]any{"key", h.key}, args...)...)
	}
}

// freshness connects those who want a linearizable read begun after they asked with the upstream that makes
// it. Everybody takes a ticket; one read serves all tickets taken before it began.
type freshness struct {
	wanted    atomic.Uint64 // the last ticket taken
	demand    chan struct{} // a ticket was taken
	hurried   chan struct{} // by a watcher that was just opened, and need not sit out a long delay
	confirmed atomic.Pointer[confirmation]
}

// confirmation is the last read that was answered, and shown to the watchers.
type confirmation struct {
	ticket   uint64
	began    time.Time
	revision kv.Revision   // the watchers can see everything up to here
	epoch    uint64        // the history that revision is of
	next     chan struct{} // closed when there is another confirmation
}

// upTo is the revision up to which an update of a revision and an epoch that is the newest is known to be so.
func (c *confirmation) upTo(revision kv.Revision, epoch uint64) kv.Revision {
	if c.epoch != epoch {
		return revision
	}
	return max(c.revision, revision)
}

// reaches reports whether an update that is the newest is known to be so at the revision wanted. A history that has
// replaced another, and is not there yet, is not one that the revision wanted is of.
func (c *confirmation) reaches(revision kv.Revision, epoch uint64, wanted kv.Revision) bool {
	return c.upTo(revision, epoch) >= wanted || c.epoch == epoch && epoch > 0
}

func newFreshness() *freshness {
	f := &freshness{demand: make(chan struct{}, 1), hurried: make(chan struct{}, 1)}
	f.confirmed.Store(&confirmation{next: make(chan struct{})})
	return f
}

// want asks for a read.
func (f *freshness) want(hurry bool) (ticket uint64) {
	ticket = f.wanted.Add(1)
	signal(f.demand)
	if hurry {
		signal(f.hurried)
	}
	return ticket
}

func (f *freshness) isWanted() bool { return f.wanted.Load() > f.confirmed.Load().ticket }

// calm forgets a hurry that has been met.
func (f *freshness) calm() {
	select {
	case <-f.hurried:
	default:
	}
}

// confirm says that a read for ticket, begun then, was answered, and that the watchers can see everything
// up to revision of the history epoch. Only the upstream calls it.
func (f *freshness) confirm(ticket uint64, began time.Time, revision kv.Revision, epoch uint64) {
	last := f.confirmed.Load()
	f.confirmed.Store(&confirmation{
		ticket: max(ticket, last.ticket), began: began, revision: revision, epoch: epoch, next: make(chan struct{}),
	})
	close(last.next)
}

// signal leaves a token in c, which has room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
