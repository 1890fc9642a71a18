package value

import (
	"errors"
	"log/slog"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// How a session goes on from the one before: it resumes the watch, goes on from what a read has found where the store has lost history to
// compaction, or begins again where history was replaced.

// Begin takes the read that begins a session, and returns the revision to watch after.
func (f *feed[T]) Begin(s upstream.Found) (after kv.Revision) {
	now := s.Place
	if !f.replaced {
		f.passedBy(now)
	}
	replaced := f.replaced || f.started && (f.streamed.Contradicts(now) || f.newest.Contradicts(now))
	if f.missed != nil && !replaced {
		f.hole(f.missed, f.streamed.Revision)
	}
	lost := f.lost
	if f.started && (replaced || lost != nil) {
		f.state.health.Resynced()
	}
	f.replaced, f.lost, f.missed = false, nil, nil
	f.took(s)
	backlog := &f.state.backlog
	switch {
	case !f.started:
		f.started = true
		f.state.health.Restarted(now.Revision)
		f.state.latest.begin(s.Began)
		backlog.clear(now.Since())
		f.jump(now, s)
	case replaced:
		f.epoch++
		f.state.health.Reset(now.Revision)
		f.state.health.Log(slog.LevelWarn, "the store's history was replaced; reading again", "revision", now.Revision)
		backlog.clear(now.Since())
		f.jump(now, s)
	case !backlog.recording(), f.streamed.SameAs(&now) && f.streamed.NothingBetween(now):
		f.jump(now, s)
	case f.streamed.NothingBetween(now):
		f.jump(now, s)
		f.publish(f.found(s)) // again: what jump may have published was not for those of every update
	case lost != nil:
		f.jumpOver(now, s, lost)
	default:
		f.show(now, s) // the watch will bring what led there
	}
	f.state.healed()
	return f.streamed.Revision
}

// canResume reports whether the next session may find that nothing has changed: nothing says that the watch cannot go on after streamed.
func (f *feed[T]) canResume() bool {
	return f.started && !f.replaced && f.lost == nil && f.missed == nil
}

// jump goes on from what a read has shown, without what lies between.
func (f *feed[T]) jump(now upstream.Position, s upstream.Found) {
	f.streamed, f.awaited = now, 0
	f.show(now, s)
}

// jumpOver is a jump over updates that the store does not have any more. It shows EveryUpdate watchers the gap.
func (f *feed[T]) jumpOver(now upstream.Position, s upstream.Found, why error) {
	f.state.health.Log(slog.LevelWarn, "history was lost", "after", f.streamed.Revision, "upTo", now.Revision)
	f.jump(now, s)
	u := *f.found(s)
	if u.Contents != nil {
		u.Revision = now.Revision // also if the range is as it was: keys may have come and gone
	}
	u.gap = why
	f.publish(&u)
}

// StreamFailed takes the error that a watch ended with.
func (f *feed[T]) StreamFailed(err error) {
	if errors.Is(err, kv.ErrCompacted) || errors.Is(err, kv.ErrTooLarge) {
		f.lost = err
	}
	f.replaced = f.replaced || errors.Is(err, kv.ErrReset)
}

// passedBy reports whether now proves that the watch has passed an event without bringing it. If so, it moves streamed back to the last
// event that the watch has brought. If now contradicts the read before it, no watch is to blame: history was replaced. A read shows
// everything up to its revision, so a watcher may have returned all of that, and would skip an event of it that came later.
func (f *feed[T]) passedBy(now upstream.Position) bool {
	if !f.started || !f.streamed.Contradicts(now) || !f.streamed.MayPrecede(now) || f.read.Contradicts(now) {
		return false
	}
	f.missed = lostBefore(f.streamed, now)
	if f.streamed.Contents != nil {
		// Going back would bring again what other keys have, which their versions would contradict.
		f.lost = f.missed
		return true
	}
	if f.newest.SameAs(&f.streamed) {
		f.newest.Revision = f.streamed.Since()
	}
	f.streamed.Revision = f.streamed.Since()
	return true
}

// hole takes an event that the watch has lost after a revision. If the store itself does not have it, the next session does not ask for it.
func (f *feed[T]) hole(err error, after kv.Revision) {
	if f.audit.Lost(err, after) {
		f.lost = err
	}
}
