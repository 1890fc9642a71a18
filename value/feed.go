package value

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/watchkv/watchkv/kv"
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
	streamed place
	newest   place       // as of its revision, which may be later than its entry's
	owed     kv.Revision // that of the newest entry a read has shown since the last jump: the stream has to bring it
	shown    *update[T]  // newest, as watchers see it
	decoded  *update[T]  // the last one that was decoded, so that, with shown, nothing is decoded twice
	epoch    uint64      // how often history was replaced

	replaced bool        // the stream or a check said that history was replaced
	lost     error       // why the store cannot give what comes after streamed; nil if it can
	holeAt   kv.Revision // where streamed was when the last hole was found; negative before the first

	missed    error // a lost event, unless the next read shows that history was replaced
	hasWaited bool  // the log has said what is waited for
}

// begin takes the read that begins a session, and returns the revision to watch after.
func (f *feed[T]) begin(s found) (after kv.Revision) {
	now := s.place
	if !f.replaced {
		f.passedBy(now)
	}
	replaced := f.replaced || f.started && (f.streamed.contradicts(now) || f.newest.contradicts(now))
	if f.missed != nil && !replaced {
		f.hole(f.missed, f.streamed.revision)
	}
	lost := f.lost
	f.replaced, f.lost, f.missed = false, nil, nil
	switch {
	case !f.started:
		f.started = true
		f.v.health.restarted(now.revision)
		f.v.forgetLatest()
		f.v.backlog.clear(now.since())
		f.jump(now, s)
	case replaced:
		f.epoch++
		f.v.health.reset(now.revision)
		f.log(slog.LevelWarn, "the store's history was replaced; reading afresh", "revision", now.revision)
		f.v.backlog.clear(now.since())
		f.jump(now, s)
	case !f.v.backlog.recording(), f.streamed.sameAs(&now) && f.streamed.nothingBetween(now):
		f.jump(now, s)
	case f.streamed.nothingBetween(now):
		f.jump(now, s)
		f.v.backlog.append(f.update(now, s))
		f.publish() // again: what jump may have published was without the backlog
	case lost != nil:
		f.log(slog.LevelWarn, "history was lost", "after", f.streamed.revision, "upTo", now.revision)
		f.jump(now, s)
		u := *f.update(now, s)
		u.gap = lost
		f.v.backlog.append(&u)
		f.publish()
	default:
		f.show(now, s) // the stream will bring what led there
	}
	f.v.health.saw(f.newest.revision)
	f.v.healed()
	return f.streamed.revision
}

// jump goes on from what a read has shown, without what lies between.
func (f *feed[T]) jump(now place, s found) {
	f.streamed, f.owed = now, 0
	f.show(now, s)
}

// deliver takes the next batch of the stream. An error means that the stream cannot be relied on.
func (f *feed[T]) deliver(b kv.Batch) error {
	at, was := f.streamed.revision, f.streamed
	news, err := f.streamed.followAll(f.v.key, b)
	if err != nil {
		f.hole(err, at)
		return err
	}
	if at < f.newest.revision && f.streamed.revision >= f.newest.revision {
		if shown := was.upTo(f.v.key, b, f.newest.revision); !shown.sameAs(&f.newest) {
			f.streamed = was
			f.missed = lostBefore(was, f.newest)
			return f.missed
		}
	}
	updates := make([]*update[T], len(news)) // those of news that are decoded
	recording := f.v.backlog.recording()
	if recording {
		for i, ev := range news {
			updates[i] = f.event(ev)
		}
	}
	if f.streamed.revision > f.newest.revision {
		changed := len(news) > 0
		f.newest = f.streamed
		if changed {
			last := len(news) - 1
			if updates[last] == nil {
				updates[last] = f.event(news[last])
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
	f.v.health.saw(f.newest.revision)
	return nil
}

// check takes a read made beside the stream. It reports whether the stream is behind the read.
func (f *feed[T]) check(s found, floor kv.Revision) (behind bool, err error) {
	if s.Revision < floor {
		f.replaced = true
		return false, kv.ErrReset // a read sees all that was delivered before it began
	}
	now := s.place
	if f.passedBy(now) {
		return false, f.missed
	}
	if now.revision >= f.streamed.revision && f.streamed.contradicts(now) {
		f.replaced = true
		return false, kv.ErrReset
	}
	if now.revision >= f.newest.revision {
		if f.newest.contradicts(now) {
			f.replaced = true
			return false, kv.ErrReset
		}
		f.show(now, s)
		f.v.health.saw(now.revision)
	}
	if f.streamed.present && f.streamed.sameAs(&now) {
		f.streamed.revision = max(f.streamed.revision, now.revision) // its version proves that nothing lies between
	}
	return f.isBehind(), nil
}

// passedBy moves the stream's place back to its last event, and reports true, if now proves that the stream has passed an
// event without bringing it.
func (f *feed[T]) passedBy(now place) bool {
	if !f.started || !f.streamed.contradicts(now) || !f.streamed.mayPrecede(now) {
		return false
	}
	if f.newest.sameAs(&f.streamed) {
		f.newest.revision = f.streamed.since()
	}
	f.streamed.revision = f.streamed.since()
	f.missed = lostBefore(f.streamed, now)
	return true
}

func lostBefore(streamed, shown place) error {
	return fmt.Errorf("%w: the watch has passed revision %d without what a read has shown there; its last event was of revision %d",
		ErrLostEvent, shown.since(), streamed.since())
}

// hole counts and logs a lost event. The watch is begun again after the revision at.
func (f *feed[T]) hole(err error, at kv.Revision) {
	f.v.health.lost(err)
	if f.holeAt == at {
		f.lost = err // a second time: the store itself does not have it
	}
	f.holeAt = at
}

// show makes now, which s holds, the newest state.
func (f *feed[T]) show(now place, s found) {
	f.owed = max(f.owed, now.entry.ModRevision)
	if f.shown != nil && f.shown.epoch == f.epoch && f.newest.sameAs(&now) {
		f.newest = now
		return
	}
	f.newest = now
	f.shown = f.update(now, s)
	f.v.offerLatest(f.shown)
	f.publish()
}

// update returns now, which s holds, as an update.
func (f *feed[T]) update(now place, s found) *update[T] {
	if !now.present {
		return f.absent(now.revision)
	}
	if s.tooLarge != nil {
		return f.tooLarge(s.Entries[0], s.tooLarge)
	}
	return f.present(s.Entries[0])
}

func (f *feed[T]) event(ev kv.Event) *update[T] {
	if ev.Type == kv.EventDelete {
		return f.absent(ev.ModRevision)
	}
	return f.present(ev.Entry)
}

func (f *feed[T]) absent(at kv.Revision) *update[T] {
	return &update[T]{place: place{revision: at}, value: f.v.fallback, epoch: f.epoch}
}

func (f *feed[T]) present(e kv.Entry) *update[T] {
	if u := f.made(e); u != nil {
		return u
	}
	f.decoded = newUpdate(f.v.decode, e, f.epoch)
	return f.decoded
}

// made returns the update of e, if that is one of the last two.
func (f *feed[T]) made(e kv.Entry) *update[T] {
	for _, u := range []*update[T]{f.decoded, f.shown} {
		if u != nil && u.present && u.epoch == f.epoch && sameEntry(&u.entry, &e) {
			return u
		}
	}
	return nil
}

func newUpdate[T any](decode func([]byte) (T, error), e kv.Entry, epoch uint64) *update[T] {
	u := &update[T]{size: len(e.Value), epoch: epoch}
	u.put(e) // first: the decoder may do with the bytes what it likes
	u.revision = e.ModRevision
	u.value, u.err = safely(decode, e)
	return u
}

// keepLatest keeps the newest good value of news for Latest. Those of updates that are nil are not yet decoded.
func (f *feed[T]) keepLatest(news []kv.Event, updates []*update[T]) {
	for i := len(news) - 1; i >= 0; i-- {
		if news[i].ModRevision <= f.v.latestSince(f.epoch) {
			return
		}
		u := updates[i]
		if u == nil {
			u = f.event(news[i])
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
		f.v.health.newest(f.shown.err)
	}
}

// fault tells the watchers an error that is theirs to know.
func (f *feed[T]) fault(err error) { f.v.publish(f.shown, err) }

// streamFailed takes the error that a stream ended with.
func (f *feed[T]) streamFailed(err error) {
	if errors.Is(err, kv.ErrCompacted) || errors.Is(err, kv.ErrTooLarge) {
		f.lost = err
	}
	f.replaced = f.replaced || errors.Is(err, kv.ErrReset)
}

func (f *feed[T]) position() kv.Revision { return f.streamed.revision }

// isBehind reports whether the stream has yet to bring what a read has shown. What came and went since is not in the newest.
func (f *feed[T]) isBehind() bool {
	return !f.streamed.sameAs(&f.newest) || f.streamed.revision < f.owed
}

func (f *feed[T]) known() (upTo kv.Revision, epoch uint64) { return f.newest.revision, f.epoch }

// expected is what watchers see, unless it has to be read whole in any case.
func (f *feed[T]) expected() expected {
	if !f.started || f.replaced || f.lost != nil || f.missed != nil || f.shown == nil || f.shown.epoch != f.epoch || !f.shown.sameAs(&f.newest) {
		return expected{}
	}
	return expected{place: f.newest, size: f.shown.size, known: true}
}

func (f *feed[T]) isWaiting() bool {
	return !f.newest.present && !f.v.config.hasFallback && !f.hasWaited
}

func (f *feed[T]) logWaiting() {
	f.hasWaited = true
	f.log(slog.LevelInfo, "the key does not exist; waiting for it to be created", "asOf", f.newest.revision)
}

func (f *feed[T]) log(level slog.Level, msg string, args ...any) {
	if l := f.v.config.logger; l != nil {
		l.Log(context.Background(), level, msg, append([]any{"key", f.v.key}, args...)...)
	}
}
