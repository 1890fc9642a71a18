package rpc

import (
	"context"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// patience limits the wait for messages that etcd still has to send. It passes only if etcd does not send them.
const patience = 10 * time.Second

// Forget compacts the history of a store without keys. Only one deletion remains, because a compaction keeps it. Forget makes two
// revisions and returns the last one.
func Forget(ctx context.Context, conn *grpc.ClientConn) (int64, error) {
	kv := pb.NewKVClient(conn)
	if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("a")}); err != nil {
		return 0, err
	}
	deleted, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("a")})
	if err != nil {
		return 0, err
	}
	_, err = kv.Compact(ctx, &pb.CompactionRequest{Revision: deleted.Header.Revision, Physical: true})
	return deleted.Header.Revision, err
}

// RunInBubble runs p in a bubble. The caller has made the bubble.
func RunInBubble(ctx context.Context, conn *grpc.ClientConn, p Program) []Answer {
	return runOn(ctx, conn, p, func(*run, int) {
		time.Sleep(time.Second) // watches of the past get missing changes ten times a second
		synctest.Wait()
	})
}

// RunOnEtcd runs p on etcd. After each step it waits until each stream has brought as many messages as in memory.
func RunOnEtcd(ctx context.Context, conn *grpc.ClientConn, p Program, inMemory []Answer) []Answer {
	return runOn(ctx, conn, p, func(r *run, step int) {
		ctx, cancel := context.WithTimeout(r.ctx, patience)
		defer cancel()
		for n, s := range r.streams {
			s.await(ctx, len(inMemory[step].Streams[n]))
		}
		if m := p[step].Message; m != nil && p[step].Stream >= sharedStreams {
			r.streams[p[step].Stream].awaitSynced(ctx, m.GetCreateRequest().GetStartRevision())
		}
	})
}

// await waits until n messages have come.
func (s *stream) await(ctx context.Context, n int) {
	for {
		s.mu.Lock()
		enough, changed := len(s.came) >= n || s.err != nil, s.changed
		s.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// awaitSynced waits until a watch from start has caught up, even if it brings nothing. It is the only watch of its stream. The server
// answers a request for progress only when the watch has caught up. If start is in the future, there is nothing to wait for.
func (s *stream) awaitSynced(ctx context.Context, start int64) {
	s.mu.Lock()
	over := len(s.came) == 0 || s.came[len(s.came)-1].Canceled || s.came[0].Header.Revision < start
	s.mu.Unlock()
	for !over && ctx.Err() == nil {
		s.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: new(pb.WatchProgressRequest)}})
		over = s.progresses(ctx)
	}
}

// progresses waits a moment for an answer to a request for progress.
func (s *stream) progresses(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	for {
		s.mu.Lock()
		over, changed := s.err != nil || s.progressed, s.changed
		s.mu.Unlock()
		if over {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
