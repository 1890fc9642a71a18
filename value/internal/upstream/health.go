package upstream

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// condition is what is going on between an upstream and its store.
type condition struct {
	Connected bool
	Since     time.Time // when connected last changed, or when the first attempt failed
	LastError error
	BadValue  error // of the newest value
	Revision  kv.Revision
	Holes     int
	Resets    int

	LastKnown      bool  // the watchers get what was last known
	LastKnownError error // of loading or saving it

	Updates       int // that reads and watches have brought
	DecodeErrors  int // newest values that could not be decoded
	Reconnections int
	Resyncs       int
}

// Health keeps the condition of an upstream, and logs its outages.
type Health struct {
	settings *Settings
	subject  kv.Range

	mu        sync.Mutex
	condition condition
	broken    bool          // a connection has failed that was not made again
	changed   chan struct{} // closed at the next change; nil while no one waits for it
	out       bool          // an outage was logged that has not ended
	logged    string        // with this error, where that is not of a read: it may not say the cause
}

func NewHealth(settings *Settings, subject kv.Range) *Health {
	return &Health{settings: settings, subject: subject}
}

// Misused says that nothing can work, because of err.
func (h *Health) Misused(err error) { h.condition.LastError = err }

func (h *Health) connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setLocked(true)
}

// steady says that a connection lasts: one that dies at once does not end an outage.
func (h *Health) steady() {
	h.mu.Lock()
	was := h.out
	h.out = false
	h.mu.Unlock()
	if was {
		h.Log(slog.LevelInfo, "the store is back")
	}
}

// failed takes the end of a connection, or of an attempt to connect. passing says that the upstream tries again at once. In an outage, the
// error of a failed read is the cause: a later silence does not replace it in the Status, and it is logged even if it comes late.
func (h *Health) failed(err error, passing bool) {
	returned := IsReturned(err) && !errors.Is(err, ErrRefused) && !errors.Is(err, kv.ErrTooLarge)
	silent := errors.Is(err, errNoAnswer)
	h.mu.Lock()
	h.broken = h.broken || h.condition.Connected
	h.setLocked(false)
	if hides := silent && h.out && !errors.Is(h.condition.LastError, errNoAnswer); !hides {
		h.condition.LastError = err
		h.changedLocked()
	}
	begins := !h.out && !passing && !returned
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
		h.Log(slog.LevelWarn, "the watch ends each time before it is of use; trying again until it is", "error", err)
	case begins && errors.Is(err, kv.ErrTooLarge):
		h.Log(slog.LevelWarn, "what the store answers is larger than its client accepts; trying again until it is not", "error", err)
	case begins:
		h.Log(slog.LevelWarn, "the store cannot be reached; trying again until it can", "error", err)
	case explains:
		h.Log(slog.LevelWarn, "the store still cannot be reached, and this is why", "error", err)
	case passing && errors.Is(err, kv.ErrTooLarge):
		h.Log(slog.LevelWarn, "an update is larger than the store's client accepts; reading the newest", "error", err)
	case passing && errors.Is(err, ErrBehind):
		h.Log(slog.LevelWarn, "the watch had stopped delivering; reading and watching again", "error", err)
	}
}

// explains reports whether err, of a read, names a cause that is not in the text logged.
func explains(err error, logged string) bool {
	op, ok := errors.AsType[*kv.OpError](err)
	return ok && op.Cause != nil && errors.Is(err, errReadFailed) && !errors.Is(err, errNoAnswer) &&
		!strings.Contains(logged, op.Cause.Error())
}

// Newest takes the error of the newest value, nil if it is good. A bad value is logged once.
func (h *Health) Newest(bad error) {
	h.mu.Lock()
	was := h.condition.BadValue
	h.condition.BadValue = bad
	if bad != was {
		h.changedLocked()
		if bad != nil {
			h.condition.DecodeErrors++
		}
	}
	h.mu.Unlock()
	if bad != nil && bad != was {
		h.Log(slog.LevelError, "the newest value does not decode; keeping the last good one", "error", bad)
	}
}

// Opened says that an upstream begins.
func (h *Health) Opened() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changedLocked()
}

// Stopped says that the upstream has ended.
func (h *Health) Stopped() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setLocked(false)
	h.out, h.broken, h.condition.LastKnown = false, false, false
	h.changedLocked()
}

func (h *Health) setLocked(connected bool) {
	if h.condition.Connected != connected || h.condition.Since.IsZero() {
		h.condition.Connected, h.condition.Since = connected, time.Now()
		if connected && h.broken {
			h.condition.Reconnections++
			h.broken = false
		}
		h.changedLocked()
	}
}

// Changed returns a channel that is closed when anything changes after the call, except the Revision and the number of updates.
func (h *Health) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.changed
}

func (h *Health) changedLocked() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// Remembers says whether the watchers get what was last known.
func (h *Health) Remembers(is bool) {
	h.mu.Lock()
	was := h.condition.LastKnown
	h.condition.LastKnown = is
	if is != was {
		h.changedLocked()
	}
	h.mu.Unlock()
	if was && !is {
		h.Log(slog.LevelInfo, "the store has answered; what was last known is not used any more")
	}
}

// NotKept takes the error of loading or saving what is known, nil for none.
func (h *Health) NotKept(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || h.condition.LastKnownError != nil {
		h.condition.LastKnownError = err
		h.changedLocked()
	}
}

// Resynced counts a read that replaced what the watch could not bring.
func (h *Health) Resynced() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.condition.Resyncs++
	h.changedLocked()
}

// Saw says that updates were brought, and up to which revision there are no others.
func (h *Health) Saw(r kv.Revision, updates int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.condition.Revision = max(h.condition.Revision, r)
	h.condition.Updates += updates
}

// Restarted forgets the revision of an earlier upstream: the store may have been replaced since.
func (h *Health) Restarted(at kv.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.condition.Revision = at
}

// lost counts and logs a lost event.
func (h *Health) lost(err error) {
	h.mu.Lock()
	h.condition.Holes++
	h.changedLocked()
	h.mu.Unlock()
	h.Log(slog.LevelError, "the watch lost an event; resuming", "error", err)
}

func (h *Health) Reset(to kv.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.condition.Resets++
	h.condition.Revision = to
	h.changedLocked()
}

func (h *Health) Load() condition {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.condition
}

// Log logs a message about the subject. It is called without the mutex: what handles a record may ask for the Status.
func (h *Health) Log(level slog.Level, msg string, args ...any) {
	if h.settings.Logger == nil {
		return
	}
	about := slog.String("range", h.subject.String())
	if key, ok := h.subject.Key(); ok {
		about = slog.String("key", key)
	}
	h.settings.Logger.Log(context.Background(), level, msg, append([]any{about}, args...)...)
}
