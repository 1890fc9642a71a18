package rpc

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
)

// On a busy machine the runner asks a stream with one watch for progress more than once. A late answer must not be taken for an answer to the next
// step.
func TestALateProgressResponseIsNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := etcdmem.Start(t, 1).Client().ActiveConnection()
		progress := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: new(pb.WatchProgressRequest)}}
		create := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("a")}}}
		own := sharedStreams
		p := Program{{Message: create, Stream: own}, {Message: progress, Stream: own}} // as if the runner had asked one step late
		runOn(t.Context(), conn, p, func(r *run, step int) {
			if synctest.Wait(); step == 0 {
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if r.streams[own].await(ctx, 1); ctx.Err() == nil {
				t.Error("promised: the runner waits for the message of the program; it took a late answer about progress for that message")
			}
		})
	})
}
