package suite

import (
	"context"

	"github.com/watchkv/watchkv/kv"
)

// Cut cuts the store off until heal is called or the check ends.
func (e *Env) Cut() (heal func()) {
	ctx, cancel := e.Bounded()
	defer cancel()
	e.Trace.Mark("cut the store off")
	undo, err := e.Backend.Cut(ctx, e.Store)
	e.Must("Backend.Cut", err)
	healed := false
	heal = func() {
		if healed {
			return
		}
		healed = true
		ctx, cancel := e.detached()
		defer cancel()
		e.Trace.Mark("heal it")
		if err := undo(ctx); err != nil {
			e.Fatalf("the heal of Backend.Cut failed: %v", err)
		}
	}
	e.Cleanup(heal)
	return heal
}

// EndStreams ends the running watches.
func (e *Env) EndStreams() {
	ctx, cancel := e.Bounded()
	defer cancel()
	e.Trace.Mark("end the streams")
	e.Must("Backend.EndStreams", e.Backend.EndStreams(ctx, e.Store))
}

// Compact makes the store forget the history before rev.
func (e *Env) Compact(rev kv.Revision) { e.CompactVia(e.Store, rev) }

func (e *Env) CompactVia(s Store, rev kv.Revision) {
	ctx, cancel := e.Bounded()
	defer cancel()
	e.suite.long = nil // it may have the data of the same store
	e.Trace.Mark("compact at %d", rev)
	e.Must("Backend.Compact", e.Backend.Compact(ctx, s, rev))
}

// Progress requests bookmarks.
func (e *Env) Progress() {
	ctx, cancel := e.Bounded()
	defer cancel()
	e.Must("Backend.Progress", e.Backend.Progress(ctx, e.Store))
}

// detached returns a context for work that has to be done although the check is over.
func (e *Env) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(e.Context()), e.Backend.patience())
}

// Backup makes a backup of the store, and returns the function that restores it. Both copy data and may restart servers, so patience does
// not bound them.
func (e *Env) Backup() (restore func()) {
	defer e.Trace.unhurried()()
	e.suite.long = nil // it may have the data of the same store
	e.Trace.Mark("back the store up")
	back, err := e.Backend.Backup(e.Context(), e.Store)
	e.Must("Backend.Backup", err)
	return func() {
		defer e.Trace.unhurried()()
		e.Trace.Mark("restore the backup")
		e.Must("the restore of Backend.Backup", back(e.Context()))
	}
}
