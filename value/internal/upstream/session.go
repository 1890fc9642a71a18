package upstream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/internal/contents"
)

// session is one connection of an upstream: a read, then a watch and reads concurrent with it, until something fails.
//
// It has two goroutines. The upstream's goroutine takes what the watch delivers, so that an update needs no other goroutine. The second
// one does everything else. They take turns, and the first error of either ends both.
type session struct {
	*upstream
	ctx     context.Context // ends both goroutines, and the reads
	cancel  context.CancelFunc
	running sync.WaitGroup // but for the upstream's own
	reads   chan reading   // has room for the one read that may be under way

	// turn holds a token while one of the goroutines has its turn, and guards what follows. It is no mutex, because a decoder
	// may take its time, and what waits for a mutex keeps a synctest bubble from going on.
	turn     chan struct{}
	over     error     // why the session ends; nil while it goes on
	reading  bool      // a read is under way
	progress bool      // the watch has come further than the read before it
	served   bool      // the store has acknowledged the watch
	heard    time.Time // when the watch, or with a limit to staleness the last read, was heard of
	waiting  bool      // the key is absent, which is to be logged
	agenda   agenda
	lag      lagWatch
	moved    chan struct{} // has a token if the watch has brought something since expectedNow
}

// reading is what a read found, and what it was begun for.
type reading struct {
	snapshot kv.Snapshot
	err      error
	ticket   uint64             // watchers that asked for a read up to this ticket are served by it
	began    time.Time          // the snapshot is no older than this
	changed  bool               // nothing was read but a summary, which shows a change
	unread   *Position          // where the value was not transferred, because this is what it is
	tooLarge error              // why the value could not be transferred
	briefly  bool               // and neither were the keys: a summary has proved it
	shown    *contents.Contents // of a range, once that is known
	floor    kv.Revision        // the snapshot cannot be of an older revision, if history is what it was
}

// Found is what a read has found, and where the subject is according to it.
type Found struct {
	kv.Snapshot
	Place    Position
	TooLarge error     // why the entry has no value
	Began    time.Time // when the read began
	Briefly  bool      // a summary has proved it, which proves nothing of an event that the watch had lost before
}

// found is what r has found.
func (u *upstream) found(r *reading) Found {
	f := Found{Snapshot: r.snapshot, TooLarge: r.tooLarge, Began: r.began, Briefly: r.briefly}
	if r.unread != nil {
		f.Place = *r.unread
		f.Place.Revision = r.snapshot.Revision
		r.shown = f.Place.Contents
		return f
	}
	newest, streamed := u.feed.Newest(), u.feed.Streamed()
	f.Place = u.subject.Place(r.snapshot, &newest, &streamed)
	r.shown = f.Place.Contents
	return f
}

// ErrRefused is a watch that was refused where the read before it was not: as for an expired token, which
// the next read renews. Only a refused read is a permission that is gone.
var ErrRefused = errors.New("the watch was refused")

// session reads, then watches until something fails. It reports whether the watch was of use: it came further, or
// lasted longer than the longest delay between two attempts.
func (u *upstream) session(ctx context.Context) (progress bool, err error) {
	r := u.read(ctx, u.expected())
	if r.err != nil {
		return false, readError{r.err}
	}
	after := u.feed.Begin(u.found(&r))
	u.confirm(r)
	u.fresh.calm()

	ctx, cancel := context.WithCancel(ctx)
	s := &session{
		upstream: u,
		ctx:      ctx,
		cancel:   cancel,
		reads:    make(chan reading, 1),
		turn:     make(chan struct{}, 1),
		heard:    r.began,
		agenda:   newAgenda(),
		lag:      lagWatch{limit: u.lag},
		moved:    make(chan struct{}, 1),
	}
	defer s.agenda.stop()
	defer s.lag.stop()
	defer s.running.Wait()
	defer cancel()

	s.checkAfter(r.began)
	watching := time.Now()
	s.do(func() error { return nil })
	s.running.Go(s.mind)
	s.watch(after)
	return s.progress || time.Since(watching) > u.settings.RetryMost, s.over
}

// do calls step, unless the session is over. An error of step ends the session. do reports whether the session continues.
func (s *session) do(step func() error) bool {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.over != nil {
		return false
	}
	s.over = step()
	if was := s.waiting; was != s.feed.IsWaiting() {
		if s.waiting = !was; s.waiting {
			s.agenda.set(notice, absentNotice)
		}
	}
	return s.over == nil
}

// watch takes what a watch brings until the session is over.
func (s *session) watch(after kv.Revision) {
	acknowledged := func() { s.do(func() error { s.begun(); return nil }) }
	for b, err := range kv.WatchAcknowledged(s.ctx, s.store, s.subject.Range, after, acknowledged) {
		if err != nil {
			s.do(func() error { return s.watchFailed(err) })
			return
		}
		if !s.do(func() error { return s.take(b) }) {
			return
		}
	}
	s.do(func() error { return s.watchFailed(ErrEnded) })
}

// mind does everything else while the watch runs, until the session is over. Then it ends the watch.
func (s *session) mind() {
	defer s.cancel()
	for {
		s.turn <- struct{}{}
		lag := s.lag.C()
		<-s.turn
		var one func() error
		select {
		case r := <-s.reads:
			one = func() error { return s.takeReading(r) }
		case <-s.fresh.demand:
			one = s.readIfWanted
		case <-s.agenda.timer.C:
			one = s.doWhatIsDue
		case <-lag:
			one = s.lag.over
		case <-s.ctx.Done():
			return
		}
		if !s.do(one) {
			return
		}
	}
}

// begun says that the store serves the watch.
func (s *session) begun() {
	if !s.served {
		s.served = true
		s.agenda.set(steady, steadyAfter)
		s.health.connected()
		s.lag.moved(s.feed.IsBehind())
	}
}

func (s *session) take(b kv.Batch) error {
	s.begun()
	before := s.feed.Position()
	if err := s.feed.Deliver(b); err != nil {
		return err
	}
	if s.feed.Position() > before {
		signal(s.moved)
		s.progress = true
		s.health.steady()
	}
	s.lag.moved(s.feed.IsBehind())
	if s.settings.MaxStaleness == 0 && !b.IsBookmark() { // a store may send bookmarks to a reader whose permission is gone
		s.heard = time.Now()
	}
	return nil
}

// read begins a read while the watch runs, unless a read is under way.
func (s *session) read() {
	if s.reading {
		return
	}
	s.reading = true
	floor, _ := s.feed.Known()
	expected := s.expectedNow()
	s.running.Go(func() {
		r := s.readCatchingUp(s.ctx, expected)
		r.floor = floor
		s.reads <- r
	})
}

// readIfWanted begins a read if a watcher waits for one that the last read did not serve.
func (s *session) readIfWanted() error {
	if s.fresh.isWanted() {
		s.read()
	}
	return nil
}

func (s *session) doWhatIsDue() error {
	for {
		var err error
		switch s.agenda.due() {
		case check:
			err = s.readIfSilent()
		case notice:
			err = s.logIfWaiting()
		case steady:
			s.health.steady()
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) logIfWaiting() error {
	if s.feed.IsWaiting() {
		s.feed.LogWaiting()
	}
	return nil
}

func (s *session) takeReading(r reading) error {
	s.reading = false
	if r.err != nil {
		return readError{r.err}
	}
	behind, err := s.feed.Check(s.found(&r), r.floor)
	if err != nil {
		return err
	}
	if behind {
		s.lag.start()
	}
	s.confirm(r)
	if s.served {
		s.health.connected()
		s.agenda.set(steady, steadyAfter)
	}
	s.heard = r.began
	s.checkAfter(r.began)
	return s.readIfWanted()
}
