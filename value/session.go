package value

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// session is one connection of an upstream: a read, then a watch, with reads beside it, until something fails.
type session struct {
	*upstream
	ctx     context.Context // ends the goroutines
	running sync.WaitGroup  // the goroutines

	batches chan kv.Batch
	ended   chan error   // has room for the one error of the watch, which comes after its batches
	reads   chan reading // has room for the one read that may be under way
	reading bool         // one is

	progress bool        // the watch has come further than the read before it
	heard    time.Time   // when the watch, or with a limit to staleness the last read, was heard of
	check    *time.Timer // when to see whether that is too long ago
	waiting  bool        // the key is absent, which is to be logged
	notice   *time.Timer // when
	steady   *time.Timer // when the connection counts as one that lasts
	lag      lagWatch
}

// reading is what a read found, and what it was begun for.
type reading struct {
	snapshot kv.Snapshot
	err      error
	ticket   uint64      // watchers that asked for a read up to this ticket are served by it
	began    time.Time   // the snapshot is no older than this
	floor    kv.Revision // the snapshot cannot be of an older revision, if history is what it was
}

// errRefused is a watch that was refused where the read before it was not: as for an expired token, which
// the next read renews. Only a refused read is a permission that is gone.
var errRefused = errors.New("the watch was refused")

// session reads, then watches until something fails. It reports whether the watch was of use: it came further, or
// lasted longer than the longest delay between two attempts.
func (u *upstream) session(ctx context.Context) (progress bool, err error) {
	r := u.read(ctx)
	if r.err != nil {
		return false, u.readFailed(ctx, r.err)
	}
	after := u.feed.begin(r.snapshot)
	u.confirm(r)
	u.fresh.calm()
	u.health.connected()

	ctx, cancel := context.WithCancel(ctx)
	s := &session{
		upstream: u,
		ctx:      ctx,
		batches:  make(chan kv.Batch),
		ended:    make(chan error, 1),
		reads:    make(chan reading, 1),
		heard:    r.began,
		check:    newTimer(u.checkInterval()),
		notice:   newTimer(0),
		steady:   newTimer(steadyAfter),
	}
	defer s.running.Wait()
	defer cancel()
	defer s.check.Stop()
	defer s.notice.Stop()
	defer s.steady.Stop()
	defer s.lag.stop()

	watching := time.Now()
	s.running.Go(func() { s.watch(after) })
	for {
		if err := s.next(); err != nil {
			return s.progress || time.Since(watching) > u.config.retryMost, err
		}
	}
}

// next waits for the next thing to happen and takes it. An error ends the session.
func (s *session) next() error {
	if was := s.waiting; was != s.feed.isWaiting() {
		if s.waiting = !was; s.waiting {
			s.notice.Reset(absentNotice)
		}
	}
	select {
	case b := <-s.batches:
		return s.take(b)
	case err := <-s.ended:
		return s.watchFailed(err)
	case r := <-s.reads:
		return s.takeReading(r)
	case <-s.fresh.demand:
		s.readIfWanted()
	case <-s.check.C:
		if left := s.checkInterval() - time.Since(s.heard); left > 0 {
			s.check.Reset(left)
		} else {
			s.read()
		}
	case <-s.notice.C:
		if s.feed.isWaiting() {
			s.feed.logWaiting()
		}
	case <-s.steady.C:
		s.health.steady()
	case <-s.lag.C():
		return errBehind
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	return nil
}

// watch hands the batches of a watch over to next.
func (s *session) watch(after kv.Revision) {
	for b, err := range s.store.Watch(s.ctx, kv.Key(s.key), after) {
		if err != nil {
			s.ended <- err
			return
		}
		select {
		case s.batches <- b:
		case <-s.ctx.Done():
			return
		}
	}
	s.ended <- errEnded
}

func (s *session) take(b kv.Batch) error {
	before := s.feed.position()
	if err := s.feed.deliver(b); err != nil {
		return err
	}
	if s.feed.position() > before {
		s.progress = true
		s.health.steady()
	}
	s.lag.moved(s.feed.isBehind())
	if s.config.maxStaleness == 0 {
		s.heard = time.Now()
	}
	return nil
}

// read begins a read beside the watch, unless there is one.
func (s *session) read() {
	if s.reading {
		return
	}
	s.reading = true
	floor, _ := s.feed.known()
	s.running.Go(func() {
		r := s.upstream.read(s.ctx)
		r.floor = floor
		s.reads <- r
	})
}

// readIfWanted begins one if somebody waits for it that the last one did not serve.
func (s *session) readIfWanted() {
	if s.fresh.isWanted() {
		s.read()
	}
}

func (s *session) takeReading(r reading) error {
	s.reading = false
	if r.err != nil {
		return s.readFailed(s.ctx, r.err)
	}
	behind, err := s.feed.check(r.snapshot, r.floor)
	if err != nil {
		return err
	}
	if behind {
		s.lag.start()
	}
	s.confirm(r)
	s.heard = r.began
	if d := s.checkInterval(); d > 0 {
		s.check.Reset(max(0, d-time.Since(s.heard)))
	}
	s.readIfWanted()
	return nil
}

// lagWatch notices a stream that stays behind what a read has shown without moving.
type lagWatch struct{ timer *time.Timer }

func (l *lagWatch) start() {
	if l.timer == nil {
		l.timer = time.NewTimer(lagTimeout)
	}
}

// moved is told after each batch whether the stream is still behind.
func (l *lagWatch) moved(behind bool) {
	switch {
	case l.timer == nil:
	case behind:
		l.timer.Reset(lagTimeout)
	default:
		l.stop()
	}
}

func (l *lagWatch) stop() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

func (l *lagWatch) C() <-chan time.Time {
	if l.timer == nil {
		return nil
	}
	return l.timer.C
}

// newTimer is a timer that for zero never fires.
func newTimer(d time.Duration) *time.Timer {
	if d > 0 {
		return time.NewTimer(d)
	}
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
