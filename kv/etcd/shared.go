package etcd

import (
	"context"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// shared is what all Stores of one client share.
type shared struct {
	identity    *identity
	lanes       *lanes // that watches run in
	connection  *connection
	reconnector *reconnector
}

// newShared returns what the Stores of one client share. The client is closed when ctx ends. conn is nil if it is not known.
func newShared(ctx context.Context, conn *grpc.ClientConn) *shared {
	s := &shared{identity: new(identity), reconnector: newReconnector()}
	s.connection = &connection{client: ctx, conn: conn, look: s.look}
	s.lanes = newLanes(s.connection.isConnected)
	return s
}

// clients has what the Stores of each client share, for the clients that report when they are closed.
var clients sync.Map // of *shared, by *clientv3.Client

// sharedOf returns what the Stores of client share. The Stores of a client that consists of parts share nothing.
func sharedOf(client Client) *shared {
	c, ok := client.(*clientv3.Client)
	if !ok || c.Ctx() == nil {
		return newShared(context.Background(), nil)
	}
	s, known := clients.LoadOrStore(c, newShared(c.Ctx(), c.ActiveConnection()))
	if !known {
		context.AfterFunc(c.Ctx(), func() { clients.Delete(c) })
	}
	return s.(*shared)
}
