package conformance

import (
	"context"

	"github.com/watchkv/watchkv/kv"
)

// cut cuts the store off until heal is called, or the check ends.
func (e *env) cut() (heal func()) {
	ctx, cancel := e.bounded()
	defer cancel()
	e.trace.mark("cut the store off")
	undo, err := e.backend.Cut(ctx, e.store)
	e.must("Backend.Cut", err)
	healed := false
	heal = func() {
		if healed {
			return
		}
		healed = true
		ctx, cancel := e.detached()
		defer cancel()
		e.trace.mark("heal it")
		if err := undo(ctx); err != nil {
			e.Fatalf("the heal of Backend.Cut failed: %v", err)
		}
	}
	e.Cleanup(heal)
	return heal
}

// endStreams ends the running watches.
func (e *env) endStreams() {
	ctx, cancel := e.bounded()
	defer cancel()
	e.trace.mark("end the streams")
	e.must("Backend.EndStreams", e.backend.EndStreams(ctx, e.store))
}

// compact forgets what is before rev.
func (e *env) compact(rev kv.Revision) { e.compactVia(e.store, rev) }

func (e *env) compactVia(s Store, rev kv.Revision) {
	ctx, cancel := e.bounded()
	defer cancel()
	e.suite.long = nil // it may be of the same store
	e.trace.mark("compact at %d", rev)
	e.must("Backend.Compact", e.backend.Compact(ctx, s, rev))
}

// progress asks for bookmarks.
func (e *env) progress() {
	ctx, cancel := e.bounded()
	defer cancel()
	e.must("Backend.Progress", e.backend.Progress(ctx, e.store))
}

// detached returns a context for what has to be done though the check is over.
func (e *env) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(e.Context()), e.backend.patience())
}
