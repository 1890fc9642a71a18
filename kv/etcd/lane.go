package etcd

import (
	"context"
	"strconv"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// lane is a gRPC stream of etcd's client, which gives watches of the same metadata one. Under a key of their own,
// those of this package share one, and none with the program's other watches, which could end them or keep progress
// from them.
//
// After a refusal a Store takes another lane: a stream keeps the token it was opened with, however long that has been
// invalid, and goes on giving out the error of the refusal.
type lane struct {
	number uint64
	turn   chan struct{} // holds a token while a watch is being begun
}

// lanes numbers those that have to be set apart, over all Stores of the program: they may share a client. All begin
// in number zero.
var lanes atomic.Uint64

func newLane(number uint64) *lane { return &lane{number: number, turn: make(chan struct{}, 1)} }

// context returns the context to open a watch in l with.
func (l *lane) context(ctx context.Context) context.Context {
	ctx = metadata.AppendToOutgoingContext(ctx, "watchkv-stream", strconv.FormatUint(l.number, 10))
	return clientv3.WithRequireLeader(ctx)
}
