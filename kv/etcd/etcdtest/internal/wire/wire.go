// Package wire has what the process that runs a test and those of its etcd members tell each other, in the form that
// net/rpc wants: all types are exported.
package wire

import (
	"net/url"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
)

// Nothing is the answer to a command.
type Nothing struct{}

// Settings are what a server has to be told of its member and its cluster.
type Settings struct {
	Name           string
	Dir            string
	Listen         *url.URL // where it serves clients
	Client         *url.URL // where clients connect
	Peer           *url.URL // where others reach it
	InitialCluster string
	Token          string
}

// Status is what is known of a server.
type Status struct {
	Leader  types.ID // whom it follows, zero if it knows of no leader
	Ready   bool     // it serves clients
	Watches int      // how many it serves
}

// Cuts says which peers a server does not speak to, and which it does.
type Cuts struct{ Cut, Rest []types.ID }

// Move asks a leader to hand over.
type Move struct {
	Until    time.Time // when the caller gives up
	From, To types.ID
}

// Compaction asks for history to be discarded.
type Compaction struct {
	Until    time.Time // when the caller gives up
	Revision int64
}
