package etcd_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// streams makes clients with several streams. A test sets when each stream acknowledges watches, and what the watches deliver.
type streams struct {
	began  time.Time
	refuse atomic.Bool
	closed chan struct{} // closed when the test ends; releases everything that is blocked

	mu       sync.Mutex
	names    []string // in the order of their first request
	first    map[string]time.Duration
	late     map[string]time.Duration // how long each stream takes to acknowledge; a stream that is not listed takes the time later
	later    time.Duration
	asked    map[string]int // requested watches
	open     map[string]int // requested watches that have not ended
	progress map[string]int // requests for progress
	running  []chan clientv3.WatchResponse
}

const never = 1000 * time.Hour

func newStreams(t *testing.T) *streams {
	s := &streams{
		began: time.Now(), closed: make(chan struct{}), first: make(map[string]time.Duration), late: make(map[string]time.Duration),
		asked: make(map[string]int), open: make(map[string]int), progress: make(map[string]int),
	}
	t.Cleanup(func() { close(s.closed) })
	return s
}

func (s *streams) watch(ctx context.Context, _ clientv3.Op) clientv3.WatchChan {
	name := stream(ctx)
	s.mu.Lock()
	if s.asked[name] == 0 {
		s.names = append(s.names, name)
		s.first[name] = time.Since(s.began)
	}
	s.asked[name]++
	s.open[name]++
	late, known := s.late[name]
	if !known {
		late = s.later
	}
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open[name]--
	})
	if late > 0 {
		select {
		case <-time.After(late):
		case <-s.closed:
		case <-ctx.Done():
		}
	}
	out := make(chan clientv3.WatchResponse, 8)
	if s.refuse.Load() {
		out <- headed(header(10), clientv3.WatchResponse{Canceled: true})
		close(out)
		return out
	}
	out <- headed(header(10), clientv3.WatchResponse{Created: true})
	s.mu.Lock()
	s.running = append(s.running, out)
	s.mu.Unlock()
	go func() {
		defer close(out)
		select {
		case <-ctx.Done():
		case <-s.closed:
		}
	}()
	return out
}

// silence makes a stream stop answering.
func (s *streams) silence(name string) { s.delay(name, never) }

func (s *streams) delay(name string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late[name] = d
}

// delayOthers sets how long the streams without a time of their own take to acknowledge.
func (s *streams) delayOthers(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.later = d
}

// say makes the first watch deliver r.
func (s *streams) say(r clientv3.WatchResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[0] <- r
}

func (s *streams) watches(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

func (s *streams) notEnded(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[name]
}

// opened returns when each stream was first used, in the order of use.
func (s *streams) opened() (times []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.names {
		times = append(times, s.first[name])
	}
	return times
}

// name returns the name of the nth stream.
func (s *streams) name(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n >= len(s.names) {
		return "none"
	}
	return s.names[n]
}

func (s *streams) client() *fake {
	return &fake{
		watch: s.watch,
		get:   answeredAt(func() int64 { return 10 }),
		progress: func(ctx context.Context) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.progress[stream(ctx)]++
		},
	}
}

func (s *streams) requestedProgress(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress[name]
}
