package server

import "context"

// Member is what a [Server] needs of one member of a cluster: its part in the consensus. It has no data. The members of a cluster share one
// log of changes and one [State], which holds the result of the changes. A change is in the State when it is committed. A member shows a
// change to its clients when the member has applied it.
//
// All methods may be called concurrently. Their errors are etcd's own, in the form of package rpctypes for servers:
// ErrGRPCNoLeader, ErrGRPCTimeout, ErrGRPCTimeoutDueToLeaderFail, ErrGRPCTimeoutDueToConnectionLost, ErrGRPCLeaderChanged,
// ErrGRPCStopped, or the error of ctx. They come after the same time as in etcd.
type Member interface {
	// ID is the member's identity in the cluster. It does not change.
	ID() uint64

	// Status returns what the member now knows of the cluster.
	Status() Status

	// Propose puts a change into the log, and returns when this member has applied it. apply is called exactly once if the
	// change is committed, in the order of the log and never concurrently with another, with the change's place in the log.
	// If Propose returns an error, the change may still be committed later.
	Propose(ctx context.Context, apply func(index uint64)) error

	// ReadIndex returns when this member has applied everything that was committed when ReadIndex was called.
	ReadIndex(ctx context.Context) error

	// ConfirmLeader reports whether this member leads, and a majority has just confirmed it.
	ConfirmLeader(ctx context.Context) bool

	// RequireLeader returns a context for a stream that requires a leader. The context ends, with the cause ErrGRPCNoLeader, when
	// the member has had no leader for a while. If the member has no leader now, RequireLeader fails with that error. The
	// caller calls release when the stream has ended.
	RequireLeader(ctx context.Context) (required context.Context, release func(), err error)

	// Reaches reports whether messages of this member arrive at another one, and the answers come back.
	Reaches(id uint64) bool

	// MoveLeader makes another member the leader.
	MoveLeader(ctx context.Context, to uint64) error

	// OnChange makes the member call f after each change of Status, never concurrently, and without a lock. OnChange is called
	// once, before the member serves clients.
	OnChange(f func())
}

// Status is what a member knows of its cluster at one moment.
type Status struct {
	ClusterID uint64
	Term      uint64
	Leader    uint64 // the member that leads, as far as this member knows; zero if it knows none
	Committed uint64 // the place in the log up to which changes are committed, as far as this member knows
	Applied   uint64 // the place in the log up to which this member has applied changes
	Restored  uint64 // the place in the log of the last state that this member got from another one, instead of changes; zero if it got none
	Members   []MemberInfo
}

// MemberInfo describes a member to clients.
type MemberInfo struct {
	ID         uint64
	Name       string
	PeerURLs   []string
	ClientURLs []string
}
