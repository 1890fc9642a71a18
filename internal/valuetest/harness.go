package valuetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/kv/fault"
)

// T is what a test reports to: a testing.TB, or something else that can be failed.
type T interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	// Fatalf fails the test and ends the goroutine that calls it.
	Fatalf(format string, args ...any)
}

// Config is what a test tells its Harness.
type Config struct {
	T T
	// Key is the key of the test's Values.
	Key string
	// Faults are between the test's Values and their store.
	Faults *fault.Store
	// Patience bounds how long something may take that has to happen. It only limits a failure.
	Patience time.Duration
	// AtOnce bounds how long something may take that waits for nothing.
	AtOnce time.Duration
	// Settle returns when nothing happens any more. It is nil where that cannot be known: outside a bubble.
	Settle func()
	// Log notes what was done, so that a failure can show it. It may be nil.
	Log func(format string, args ...any)
}

// Harness checks the Values of one test.
type Harness struct {
	config  Config
	patient time.Duration
	opened  atomic.Int64 // how many watchers were, to number them
}

// New returns a Harness.
func New(config Config) *Harness {
	if config.Log == nil {
		config.Log = func(string, ...any) {}
	}
	return &Harness{config: config, patient: config.Patience}
}

// Patience returns how long something may take that has to happen.
func (h *Harness) Patience() time.Duration { return h.patient }

// BePatient changes the Patience of the Config.
func (h *Harness) BePatient(d time.Duration) { h.patient = d }

// InBubble reports whether it can be known that nothing happens any more.
func (h *Harness) InBubble() bool { return h.config.Settle != nil }

// Settle waits until nothing happens any more. Outside a bubble it does nothing.
func (h *Harness) Settle() {
	if h.config.Settle != nil {
		h.config.Settle()
	}
}

// Until waits until the numbers that the faults have counted are as they should be.
func (h *Harness) Until(what string, holds func(fault.Counts) bool) {
	h.config.T.Helper()
	ctx, cancel := h.bounded()
	defer cancel()
	if err := h.config.Faults.Wait(ctx, holds); err != nil {
		h.config.T.Fatalf("waited in vain until %s; the store saw: %v", what, h.config.Faults.Counts())
	}
}

// Streaming waits until n watches of the store run. What the reads before them have found was returned to the Values before. In a
// bubble it also waits until the store has acknowledged the watches.
func (h *Harness) Streaming(n int) {
	h.config.T.Helper()
	h.Until(fmt.Sprintf("%d watches of the store run", n), func(c fault.Counts) bool { return c.Streams == n })
	h.Settle()
}

// ReadAgain does something that ends n running watches. It waits until as many run again, and so until the Values have read the
// store again.
func (h *Harness) ReadAgain(n int, happens func()) {
	h.config.T.Helper()
	before := h.config.Faults.Counts().Watches
	happens()
	h.Until(fmt.Sprintf("%d watches of the store run again", n), func(c fault.Counts) bool {
		return c.Watches >= before+n && c.Streams == n
	})
}

// Held waits until a call is held.
func (h *Harness) Held(hold *fault.Hold) {
	h.config.T.Helper()
	ctx, cancel := h.bounded()
	defer cancel()
	if err := hold.Wait(ctx); err != nil {
		h.config.T.Fatalf("waited in vain for a call to the store: %v", err)
	}
}

func (h *Harness) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(h.config.T.Context(), h.patient, ErrInVain)
}
