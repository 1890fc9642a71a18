package etcdtest

import (
	"context"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// Watchers returns the number of clients' watches that the given member serves. A watch counts from the moment when the member has
// reported it as created, until the member has reported it as cancelled or its stream has ended.
//
// A watch that a client has just cancelled counts until the member learns of that. A member in a separate process reports its
// answers to this process a moment later. To prove that no watch is left, use [Cluster.WaitWatchers].
func (c *Cluster) Watchers(member int) int {
	return c.members[member].watches.now()
}

// WaitWatchers waits until the given member serves exactly n watches, as [Cluster.Watchers] counts them.
func (c *Cluster) WaitWatchers(ctx context.Context, member, n int) error {
	if got, err := c.members[member].watches.wait(ctx, n); err != nil {
		return fmt.Errorf("etcdtest: wait for member %d to serve %d watches: %w (it serves %d)", member, n, err, got)
	}
	return nil
}

// watchCount counts the watches that one member serves, from the answers to its clients. etcd's own count is a metric of all
// servers in a process.
type watchCount struct {
	mu      sync.Mutex
	n       int
	changed chan struct{} // if not nil, closed and set to nil when n changes
}

func (w *watchCount) now() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

func (w *watchCount) add(d int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n += d
	if d != 0 && w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// next returns a channel that is closed when the number changes after the call.
func (w *watchCount) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.changed
}

// wait waits until the number is want, or until ctx ends. It returns the number that it saw last.
func (w *watchCount) wait(ctx context.Context, want int) (int, error) {
	for {
		changed := w.next()
		n := w.now()
		if n == want {
			return n, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// intercept counts the watches of each stream that passes.
func (w *watchCount) intercept(
	srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	counted := &countedStream{ServerStream: stream, count: w, open: make(map[int64]bool)}
	defer counted.end()
	return handler(srv, counted)
}

// countedStream observes the responses of one stream. It does not change streams without watches.
type countedStream struct {
	grpc.ServerStream
	count *watchCount

	mu   sync.Mutex
	open map[int64]bool // by watch id
}

func (s *countedStream) SendMsg(m any) error {
	if r, ok := m.(*pb.WatchResponse); ok {
		// The response is counted before it is sent, so that it is counted when the client has it.
		s.observe(r)
	}
	return s.ServerStream.SendMsg(m)
}

func (s *countedStream) observe(r *pb.WatchResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.open)
	switch {
	case r.GetCanceled(): // for a refused watch, Created is set too
		delete(s.open, r.GetWatchId())
	case r.GetCreated():
		s.open[r.GetWatchId()] = true
	}
	s.count.add(len(s.open) - before)
}

func (s *countedStream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.add(-len(s.open))
	clear(s.open)
}
