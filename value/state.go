package value

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/value/internal/upstream"
)

// state is all that the watchers of a Value can see. The feed writes it, and the watchers read it. The two have nothing else in
// common.
type state[T any] struct {
	source[T]
	health    *upstream.Health
	fresh     *upstream.Freshness
	published atomic.Pointer[published[T]]
	notifiers notifiers // notified after published has changed
	latest    latest[T]
	backlog   backlog[T]
	timed     atomic.Bool   // a watcher wants to know when the newest update was published
	run       atomic.Uint64 // how many upstreams were asked for: the last one supplies the watchers that are open

	// turn holds a token while one of those who publish has its turn. It is no mutex, because a handler of the log may take its time, and
	// what waits for a mutex keeps a synctest bubble from going on.
	turn chan struct{}
}

// published is what the feed has published last. It is immutable: the next one takes its place.
type published[T any] struct {
	newest  *update[T] // nil before the first read
	instead *update[T] // what was last known, where it stands in for newest; nil otherwise
	reached bool       // the store has answered the upstream that runs
	changed time.Time  // when newest was published first, if a watcher wants to know
	fault   error      // the last error that is for the watchers; nil when a read has succeeded since
	faults  uint64     // how many there have been
}

// init makes s the state of a source, of which nothing is known yet.
func (s *state[T]) init(from source[T]) {
	s.source = from
	s.health = upstream.NewHealth(&s.config.Settings, s.subject.Range)
	s.fresh = upstream.NewFreshness()
	s.backlog.most = s.config.backlog
	s.latest.keep = s.config.keepLatest
	s.published.Store(new(published[T]))
	s.turn = make(chan struct{}, 1)
	if s.misuse != nil {
		s.health.Misused(s.misuse)
	}
}

// publish shows the watchers a newest update with what stands in for it, if anything does, and a fault if there is one. The watchers of
// every update get updates, which are up to newest: the backlog is never ahead of what is published. Only the feed calls it.
func (s *state[T]) publish(newest, instead *update[T], fault error, updates ...*update[T]) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	next := *s.published.Load()
	next.instead, next.reached = instead, newest != nil || fault != nil
	if newest != next.newest && s.timed.Load() {
		next.changed = time.Now()
	}
	next.newest = newest
	if fault != nil {
		next.fault = fault
		next.faults++
	}
	if next.reached {
		s.standIn(instead)
	}
	s.published.Store(&next)
	if len(updates) > 0 {
		s.backlog.append(updates...)
	}
	s.notifiers.notify()
}

// healed takes back a fault: a watcher that has not returned it does not return it any more. Only the feed calls it.
func (s *state[T]) healed() {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	next := *s.published.Load()
	if next.fault == nil {
		return
	}
	next.fault = nil
	s.published.Store(&next)
	s.notifiers.notify()
}

// remember shows the watchers what was last known, unless the store has answered. The log has said so before an answer can end it.
func (s *state[T]) remember(u *update[T]) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	next := *s.published.Load()
	if next.reached {
		return
	}
	next.instead = u
	s.standIn(u)
	s.published.Store(&next)
	s.notifiers.notify()
	s.health.Log(slog.LevelWarn, "the store has not answered; using what was last known", "confirmed", u.kept.confirmed)
}

// standIn has Latest and Status say that u, which was last known, is used, or with nil that nothing is. It is called in a turn, before
// a watcher can return what is used: who has it may ask.
func (s *state[T]) standIn(u *update[T]) {
	if s.config.lastKnown == nil {
		return
	}
	if u != nil {
		s.latest.offerLastKnown(u)
	} else {
		s.latest.forgetLastKnown()
	}
	s.health.Remembers(u != nil)
}

// offerLatest makes u the Latest, unless u is bad or older than what was offered. It is called before a watcher can return u.
func (s *state[T]) offerLatest(u *update[T]) {
	if u.err == nil && !u.isLastKnown() {
		s.latest.offer(u, s.exists(u))
	}
}
