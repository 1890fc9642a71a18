// Package wire has the messages between the process of a test and the processes of its etcd members. All types are exported, because net/rpc
// requires that.
package wire

import (
	"net/url"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
)

// Nothing is the answer to a command.
type Nothing struct{}

// Settings tell a server about its member and its cluster.
type Settings struct {
	Name           string
	Dir            string
	Listen         *url.URL // where the server listens for clients
	Client         *url.URL // where clients connect
	Peer           *url.URL // where other members reach the member
	InitialCluster string
	Token          string
}

// Status is the status of a server.
type Status struct {
	Leader  types.ID // the leader that the server follows, or zero
	Ready   bool     // whether the server serves clients
	Watches int      // how many watches the server serves
}

// Cuts says which peers a server must not communicate with, and which it may.
type Cuts struct{ Cut, Rest []types.ID }

// Move asks a leader to transfer its leadership.
type Move struct {
	Until    time.Time // when the caller gives up
	From, To types.ID
}

// Compaction asks a server to discard history.
type Compaction struct {
	Until    time.Time // when the caller gives up
	Revision int64
}
