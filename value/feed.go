package value

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/upstream"
)

// feed turns what an upstream reads and watches into what the watchers see: it is the [upstream.Sink] of a state. An upstream calls its
// methods one at a time.
//
// It keeps two positions. The watch has delivered everything up to streamed. The newest state known is newest: usually the same, but a
// read may have shown more than the watch has delivered so far. Watchers of the newest value return newest. EveryUpdate watchers return
// what the watch delivers.
type feed[T any] struct {
	state    *state[T]
	keeper   *keeper[T]
	audit    upstream.Audit
	started  bool
	streamed upstream.Position
	newest   upstream.Position // as of its revision, which may be later than its entry's
	read     upstream.Position // what the last read has shown that was no summary
	awaited  kv.Revision       // that of the newest entry a read has shown since the last jump: the watch has to bring it
	shown    *update[T]        // newest, as watchers see it
	decoded  *update[T]        // the last one that was decoded, so that, with shown, nothing is decoded twice
	epoch    uint64            // how often history was replaced

	// Why the next session cannot go on after streamed.
	replaced bool  // a watch or a check has found that history was replaced
	lost     error // why the store cannot give what comes after streamed; nil if it can
	missed   error // a lost event, unless the next read shows that history was replaced

	hasWaited bool // the log has said what is waited for
}

func newFeed[T any](s *state[T], k *keeper[T], epoch uint64) *feed[T] {
	return &feed[T]{state: s, keeper: k, epoch: epoch, audit: upstream.NewAudit(s.health)}
}

// Deliver takes the next batch of the watch. An error means that the watch cannot be relied on.
func (f *feed[T]) Deliver(b kv.Batch) error {
	was := f.streamed
	passed := f.hasPassedNewest(b) // first: decoders may do with the bytes what they like
	recording := f.state.backlog.recording()
	var step [1]upstream.Step // most batches are of one revision
	var update [1]*update[T]
	news, err := f.state.subject.Follow(&f.streamed, b, recording || f.state.face.each(), &f.newest, step[:0])
	if err != nil {
		f.hole(err, was.Revision)
		return err
	}
	if passed != nil {
		f.streamed, f.missed = was, passed
		return passed
	}
	updates := slices.Grow(update[:0], len(news))[:len(news)] // those of news that are decoded
	if recording {
		for i, step := range news {
			updates[i] = f.stepped(step)
		}
	}
	if f.streamed.Revision > f.newest.Revision {
		f.newest = f.streamed
		if last := len(news) - 1; last >= 0 {
			if updates[last] == nil {
				updates[last] = f.stepped(news[last])
			}
			f.shown = updates[last]
		}
	}
	f.keepLatest(news, updates)
	f.state.health.Saw(f.newest.Revision, len(news))
	if !recording {
		updates = nil
	}
	if len(news) > 0 {
		f.publish(updates...)
	}
	return nil
}

// hasPassedNewest returns an error if the watch comes with b to the newest position or beyond, and has not brought what a read has shown
// there.
func (f *feed[T]) hasPassedNewest(b kv.Batch) error {
	end := b.Revision
	if n := len(b.Events); n > 0 {
		end = max(end, b.Events[n-1].ModRevision)
	}
	if f.streamed.Revision >= f.newest.Revision || end < f.newest.Revision {
		return nil
	}
	if there := f.state.subject.UpTo(f.streamed, b, f.newest.Revision); there.SameAs(&f.newest) {
		return nil
	}
	return lostBefore(f.streamed, f.newest)
}

func lostBefore(streamed, shown upstream.Position) error {
	return fmt.Errorf("%w: the watch has passed revision %d without what a read has shown there; its last event was of revision %d",
		ErrLostEvent, shown.Since(), streamed.Since())
}

// Check takes a read that was made while the watch goes on. It reports whether the watch is behind the read.
func (f *feed[T]) Check(s upstream.Found, floor kv.Revision) (behind bool, err error) {
	now := s.Place
	if s.Revision < floor { // but a read sees all that was delivered before it began
		return false, f.reset()
	}
	if f.passedBy(now) {
		return false, f.missed
	}
	if now.Revision >= f.streamed.Revision && f.streamed.Contradicts(now) {
		return false, f.reset()
	}
	if now.Revision >= f.newest.Revision {
		if f.newest.Contradicts(now) {
			return false, f.reset()
		}
		f.show(now, s)
	}
	if f.streamed.SameAs(&now) && f.streamed.NothingBetween(now) {
		f.streamed.Revision = max(f.streamed.Revision, now.Revision)
	}
	f.took(s)
	return f.IsBehind(), nil
}

// took keeps what a read has shown.
func (f *feed[T]) took(s upstream.Found) {
	if !s.Briefly {
		f.read = s.Place
	}
}

// reset has the next session begin with another history.
func (f *feed[T]) reset() error {
	f.replaced = true
	return kv.ErrReset
}

// show makes now, which s holds, the newest state.
func (f *feed[T]) show(now upstream.Position, s upstream.Found) {
	f.awaited = max(f.awaited, now.Entry.ModRevision)
	same := f.shown != nil && f.shown.epoch == f.epoch && f.newest.SameAs(&now)
	f.newest = now
	if same {
		f.state.health.Saw(now.Revision, 0)
		return
	}
	f.shown = f.found(s)
	f.state.health.Saw(now.Revision, 1)
	f.state.offerLatest(f.shown)
	f.publish()
}

// stepped is the update of a step of the watch.
func (f *feed[T]) stepped(s upstream.Step) *update[T] {
	return f.keep(f.state.face.stepped(s, f.epoch, f.decoded, f.shown))
}

// found is the update of what a read has found.
func (f *feed[T]) found(s upstream.Found) *update[T] {
	return f.keep(f.state.face.found(s, f.epoch, f.decoded, f.shown))
}

func (f *feed[T]) keep(u *update[T]) *update[T] {
	if u.Present {
		f.decoded = u
	}
	return u
}

// keepLatest keeps the newest good value of news for Latest. Those of updates that are nil are not decoded yet.
func (f *feed[T]) keepLatest(news []upstream.Step, updates []*update[T]) {
	for i := len(news) - 1; i >= 0; i-- {
		if news[i].Revision <= f.state.latest.since(f.epoch) {
			return
		}
		u := updates[i]
		if u == nil {
			u = f.stepped(news[i])
		}
		if u.err == nil {
			f.state.offerLatest(u)
			return
		}
	}
}

// publish shows the watchers the newest state, and those of every update also updates. Latest and Status know these by then, and Status
// names a bad value: who has seen them may ask.
func (f *feed[T]) publish(updates ...*update[T]) {
	if f.shown != nil {
		f.state.health.Newest(f.shown.bad())
	}
	f.publishWith(nil, updates...)
	f.keeper.offer(f.shown)
}

// Fault shows the watchers an error that a Get returns.
func (f *feed[T]) Fault(err error) { f.publishWith(err) }

// publishWith publishes what is shown, and what was last known if it stands in for that. Any answer ends the use of what was last known,
// also that the store refuses the read.
func (f *feed[T]) publishWith(fault error, updates ...*update[T]) {
	f.state.publish(f.shown, f.keeper.standIn(f.shown), fault, updates...)
}

func (f *feed[T]) Position() kv.Revision { return f.streamed.Revision }

// IsBehind reports whether the watch has yet to bring what a read has shown. What came and went since is not in the newest.
func (f *feed[T]) IsBehind() bool {
	return !f.streamed.SameAs(&f.newest) || f.streamed.Revision < f.awaited
}

// Newest is what the watchers can see, or before the first read what was last known, so that it is not decoded twice, and a bad value of
// a range has its last good one.
func (f *feed[T]) Newest() upstream.Position {
	if !f.started {
		return f.keeper.known()
	}
	return f.newest
}

func (f *feed[T]) Streamed() upstream.Position { return f.streamed }

func (f *feed[T]) Known() (upTo kv.Revision, epoch uint64) { return f.newest.Revision, f.epoch }

// Expected is what watchers see, unless it has to be read whole in any case.
func (f *feed[T]) Expected() upstream.Expected {
	if !f.canResume() || f.shown == nil || f.shown.epoch != f.epoch || !f.shown.SameAs(&f.newest) {
		return upstream.Expected{}
	}
	e := upstream.Expected{Place: f.newest, Size: f.shown.size, Known: true}
	if c := f.newest.Contents; c != nil {
		e.Size = c.Size()
	}
	return e
}

func (f *feed[T]) IsWaiting() bool {
	return !f.newest.Present && !f.state.config.hasFallback && !f.hasWaited
}

func (f *feed[T]) LogWaiting() {
	f.hasWaited = true
	f.state.health.Log(slog.LevelInfo, "the key does not exist; waiting for it to be created", "asOf", f.newest.Revision)
}
