package rpc

import (
	"context"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// patience bounds how long what etcd has yet to send is waited for. It is reached only if etcd does not send it.
const patience = 10 * time.Second

// Forget leaves nothing of the history of a store that has no keys, but one deletion, which compactions keep. It makes two
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

// RunInBubble runs p in a bubble, which the caller has made.
func RunInBubble(ctx context.Context, conn *grpc.ClientConn, p Program) []Answer {
	return runOn(ctx, conn, p, func(*run, int) {
		time.Sleep(time.Second) // watches of the past get what they lack ten times a second
		synctest.Wait()
	})
}

// RunOnEtcd runs p on etcd, and gives it time to bring on each stream as many messages as came in memory.
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

// awaitSynced waits until a watch from start, which has the stream to itself, has caught up, also if it brings nothing. The
// server then answers a request for progress; before, it does not. If start is in the future, there is nothing to wait for.
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
