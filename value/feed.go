package value

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// feed turns what an upstream reads and streams into what watchers are told. Its methods are called by
// an upstream: one at a time.
//
// It keeps two places. The stream has delivered everything up to streamed. The newest state known is newest:
// usually the same, but a read may have shown more than the stream has delivered so far. Watchers of the newest
// are told newest; EveryUpdate watchers are told what the stream delivers.
type feed[T any] struct {
	v        *Value[T]
	started  bool
	streamed upstream.Position
	newest   upstream.Position // as of its revision, which may be later than its entry's
	awaited  kv.Revision       // that of the newest entry a read has shown since the last jump: the stream has to bring it
	shown    *update[T]        // newest, as watchers see it
	decoded  *update[T]        // the last one that was decoded, so that, with shown, nothing is decoded twice
	epoch    uint64            // how often history was replaced

	replaced bool        // the stream or a check said that history was replaced
	lost     error       // why the store cannot give what comes after streamed; nil if it can
	holeAt   kv.Revision // where streamed was when the last hole was found; negative before the first

	missed    error // a lost event, unless the next read shows that history was replaced
	hasWaited bool  // the log has said what is waited for
}

// begin takes the read that begins a session, and returns the revision to watch after.
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
		f.v.health.Resynced()
	}
	f.replaced, f.lost, f.missed = false, nil, nil
	switch {
	case !f.started:
		f.started = true
		f.v.health.Restarted(now.Revision)
		f.v.forgetLatest()
		f.v.backlog.clear(now.Since())
		f.jump(now, s)
	case replaced:
		f.epoch++
		f.v.health.Reset(now.Revision)
		f.log(slog.LevelWarn, "the store's history was replaced; reading afresh", "revision", now.Revision)
		f.v.backlog.clear(now.Since())
		f.jump(now, s)
	case !f.v.backlog.recording(), f.streamed.SameAs(&now) && f.streamed.NothingBetween(now):
		f.jump(now, s)
	case f.streamed.NothingBetween(now):
		f.jump(now, s)
		f.v.backlog.append(f.found(s))
		f.publish() // again: what jump may have published was without the backlog
	case lost != nil:
		f.log(slog.LevelWarn, "history was lost", "after", f.streamed.Revision, "upTo", now.Revision)
		f.jump(now, s)
		u := *f.found(s)
		if u.Contents != nil {
			u.Revision = now.Revision // also if the range is as it was: keys may have come and gone
		}
		u.gap = lost
		f.v.backlog.append(&u)
		f.publish()
	default:
		f.show(now, s) // the stream will bring what led there
	}
	f.v.health.Saw(f.newest.Revision, 0)
	f.v.healed()
	return f.streamed.Revision
}

// jump goes on from what a read has shown, without what lies between.
func (f *feed[T]) jump(now upstream.Position, s upstream.Found) {
	f.streamed, f.awaited = now, 0
	f.show(now, s)
}

// deliver takes the next batch of the stream. An error means that the stream cannot be relied on.
func (f *feed[T]) Deliver(b kv.Batch) error {
	at, was := f.streamed.Revision, f.streamed
	recording := f.v.backlog.recording()
	news, err := f.v.subject.Follow(&f.streamed, b, recording || f.v.face.each(), &f.newest)
	if err != nil {
		f.hole(err, at)
		return err
	}
	if at < f.newest.Revision && f.streamed.Revision >= f.newest.Revision {
		if shown := f.v.subject.UpTo(was, b, f.newest.Revision, &f.newest); !shown.SameAs(&f.newest) {
			f.streamed = was
			f.missed = lostBefore(was, f.newest)
			return f.missed
		}
	}
	updates := make([]*update[T], len(news)) // those of news that are decoded
	if recording {
		for i, step := range news {
			updates[i] = f.stepped(step)
		}
	}
	if f.streamed.Revision > f.newest.Revision {
		changed := len(news) > 0
		f.newest = f.streamed
		if changed {
			last := len(news) - 1
			if updates[last] == nil {
				updates[last] = f.stepped(news[last])
			}
			f.shown = updates[last]
		}
	}
	f.keepLatest(news, updates)
	if recording { // last: whoever reads beside this is told of nothing that is newer than the Latest
		f.v.backlog.append(updates...)
	}
	if len(news) > 0 {
		f.publish()
	}
	f.v.health.Saw(f.newest.Revision, len(news))
	return nil
}

// check takes a read made beside the stream. It reports whether the stream is behind the read.
func (f *feed[T]) Check(s upstream.Found, floor kv.Revision) (behind bool, err error) {
	if s.Revision < floor {
		f.replaced = true
		return false, kv.ErrReset // a read sees all that was delivered before it began
	}
	now := s.Place
	if f.passedBy(now) {
		return false, f.missed
	}
	if now.Revision >= f.streamed.Revision && f.streamed.Contradicts(now) {
		f.replaced = true
		return false, kv.ErrReset
	}
	if now.Revision >= f.newest.Revision {
		if f.newest.Contradicts(now) {
			f.replaced = true
			return false, kv.ErrReset
		}
		f.show(now, s)
		f.v.health.Saw(now.Revision, 0)
	}
	if f.streamed.SameAs(&now) && f.streamed.NothingBetween(now) {
		f.streamed.Revision = max(f.streamed.Revision, now.Revision)
	}
	return f.IsBehind(), nil
}

// passedBy moves the stream's place back to its last event, and reports true, if now proves that the stream has passed an
// event without bringing it.
func (f *feed[T]) passedBy(now upstream.Position) bool {
	if !f.started || !f.streamed.Contradicts(now) || !f.streamed.MayPrecede(now) {
		return false
	}
	if f.streamed.Contents != nil {
		// Going back would bring again what other keys have, which their versions would contradict.
		f.lost = lostBefore(f.streamed, now)
		f.missed = f.lost
		return true
	}
	if f.newest.SameAs(&f.streamed) {
		f.newest.Revision = f.streamed.Since()
	}
	f.streamed.Revision = f.streamed.Since()
	f.missed = lostBefore(f.streamed, now)
	return true
}

func lostBefore(streamed, shown upstream.Position) error {
	return fmt.Errorf("%w: the watch has passed revision %d without what a read has shown there; its last event was of revision %d",
		ErrLostEvent, shown.Since(), streamed.Since())
}

// hole counts and logs a lost event. The watch is begun again after the revision at.
func (f *feed[T]) hole(err error, at kv.Revision) {
	f.v.health.Lost(err)
	if f.holeAt == at {
		f.lost = err // a second time: the store itself does not have it
	}
	f.holeAt = at
}

// show makes now, which s holds, the newest state.
func (f *feed[T]) show(now upstream.Position, s upstream.Found) {
	f.awaited = max(f.awaited, now.Entry.ModRevision)
	if f.shown != nil && f.shown.epoch == f.epoch && f.newest.SameAs(&now) {
		f.newest = now
		return
	}
	f.newest = now
	f.shown = f.found(s)
	f.v.health.Saw(0, 1)
	f.v.offerLatest(f.shown)
	f.publish()
}

// stepped is the update of a step of the stream.
func (f *feed[T]) stepped(s upstream.Step) *update[T] {
	return f.keep(f.v.face.stepped(s, f.epoch, f.decoded, f.shown))
}

// found is the update of what a read has found.
func (f *feed[T]) found(s upstream.Found) *update[T] {
	return f.keep(f.v.face.found(s, f.epoch, f.decoded, f.shown))
}

func (f *feed[T]) keep(u *update[T]) *update[T] {
	if u.Present {
		f.decoded = u
	}
	return u
}

// keepLatest keeps the newest good value of news for Latest. Those of updates that are nil are not yet decoded.
func (f *feed[T]) keepLatest(news []upstream.Step, updates []*update[T]) {
	for i := len(news) - 1; i >= 0; i-- {
		if news[i].Revision <= f.v.latestSince(f.epoch) {
			return
		}
		u := updates[i]
		if u == nil {
			u = f.stepped(news[i])
		}
		if u.err == nil {
			f.v.offerLatest(u)
			return
		}
	}
}

func (f *feed[T]) publish() {
	f.v.publish(f.shown, nil)
	if f.shown != nil {
		f.v.health.Newest(f.shown.bad())
	}
}

// fault tells the watchers an error that is theirs to know.
func (f *feed[T]) Fault(err error) { f.v.publish(f.shown, err) }

// streamFailed takes the error that a stream ended with.
func (f *feed[T]) StreamFailed(err error) {
	if errors.Is(err, kv.ErrCompacted) || errors.Is(err, kv.ErrTooLarge) {
		f.lost = err
	}
	f.replaced = f.replaced || errors.Is(err, kv.ErrReset)
}

func (f *feed[T]) Position() kv.Revision { return f.streamed.Revision }

// isBehind reports whether the stream has yet to bring what a read has shown. What came and went since is not in the newest.
func (f *feed[T]) IsBehind() bool {
	return !f.streamed.SameAs(&f.newest) || f.streamed.Revision < f.awaited
}

func (f *feed[T]) Newest() upstream.Position { return f.newest }

func (f *feed[T]) Streamed() upstream.Position { return f.streamed }

func (f *feed[T]) Known() (upTo kv.Revision, epoch uint64) { return f.newest.Revision, f.epoch }

// expected is what watchers see, unless it has to be read whole in any case.
func (f *feed[T]) Expected() upstream.Expected {
	if !f.started || f.replaced || f.lost != nil || f.missed != nil || f.shown == nil || f.shown.epoch != f.epoch || !f.shown.SameAs(&f.newest) {
		return upstream.Expected{}
	}
	e := upstream.Expected{Place: f.newest, Size: f.shown.size, Known: true}
	if c := f.newest.Contents; c != nil {
		e.Size = c.Size()
	}
	return e
}

func (f *feed[T]) IsWaiting() bool {
	return !f.newest.Present && !f.v.config.hasFallback && !f.hasWaited
}

func (f *feed[T]) LogWaiting() {
	f.hasWaited = true
	f.log(slog.LevelInfo, "the key does not exist; waiting for it to be created", "asOf", f.newest.Revision)
}

func (f *feed[T]) log(level slog.Level, msg string, args ...any) {
	f.v.config.Log(f.v.subject.Range, level, msg, args...)
}
