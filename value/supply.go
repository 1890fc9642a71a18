package value

import (
	"context"
	"sync"
	"time"

	"github.com/watchkv/watchkv/value/internal/upstream"
)

// supply runs the upstream of a Value while a watcher is open. An upstream ends when the last watcher is closed, and the next one
// begins with the next watcher, after the end of the one before.
type supply[T any] struct {
	state *state[T]

	mu       sync.Mutex
	watchers int                // that are open
	opened   time.Time          // when the first of them was
	stop     context.CancelFunc // ends the upstream; nil when there is none
	stopped  chan struct{}      // closed when the last upstream that was started has ended

	epoch uint64 // how often history was replaced; of the upstreams, which run one after the other
}

// open counts a watcher in, and starts the upstream for the first. It returns the ticket of the watcher's first read,
// which an upstream that the last watcher has just stopped does not serve: the next one may begin with another history.
func (s *supply[T]) open() (ticket uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ticket = s.state.fresh.Want(true) // first, so that the read an upstream begins with serves it
	if s.watchers++; s.watchers == 1 {
		s.opened = time.Now()
		s.state.health.Opened()
		run := s.state.run.Add(1)
		ctx, cancel := context.WithCancel(context.Background())
		before, stopped := s.stopped, make(chan struct{})
		s.stop, s.stopped = cancel, stopped
		go func() {
			defer close(stopped)
			if before != nil {
				<-before
			}
			s.run(ctx, run)
		}()
	}
	return ticket
}

// run is the upstream of the watchers that are open, from the first to the last.
func (s *supply[T]) run(ctx context.Context, run uint64) {
	s.state.publish(nil, nil, nil)
	defer s.state.health.Stopped()
	k := startKeeper(ctx, s.state, run, s.epoch)
	defer k.close()
	f := newFeed(s.state, k, s.epoch)
	defer func() { s.epoch = f.epoch }()
	upstream.New(s.state.store, s.state.subject, &s.state.config.Settings, f, s.state.health, s.state.fresh).Run(ctx)
}

// close counts a watcher out, and after the last stops the upstream and waits for its end.
func (s *supply[T]) close() {
	s.mu.Lock()
	s.watchers--
	var stopped chan struct{}
	if s.watchers == 0 {
		s.stop()
		stopped = s.stopped
	}
	s.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
}

// users returns how many watchers are open, and when the first of them was opened.
func (s *supply[T]) users() (watchers int, opened time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watchers, s.opened
}
