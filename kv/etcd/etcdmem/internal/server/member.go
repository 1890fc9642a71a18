package server

import "context"

// Member is one member of a cluster, as the services that it offers to clients see it: its place in the consensus, and
// nothing of the data. The members of a cluster share one log of changes and one [State], which holds what the changes have
// made. A change is in the State when it is committed; a member shows it to its clients when it has applied it.
//
// All methods may be called concurrently. Their errors are etcd's own, as package rpctypes has them for the server's side:
// ErrGRPCNoLeader, ErrGRPCTimeout, ErrGRPCTimeoutDueToLeaderFail, ErrGRPCTimeoutDueToConnectionLost, ErrGRPCLeaderChanged,
// ErrGRPCStopped, or the error of ctx. They come after the time that etcd takes.
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

	// RequireLeader returns a context for a stream that requires a leader. It ends when the member has had no leader for a
	// while, and its cause is then ErrGRPCNoLeader. If the member has no leader now, RequireLeader fails with that error. The
	// caller calls release when the stream has ended.
	RequireLeader(ctx context.Context) (required context.Context, release func(), err error)

	// Reaches reports whether what this member sends to another arrives, and the answer too.
	Reaches(id uint64) bool

	// MoveLeader makes another member the leader.
	MoveLeader(ctx context.Context, to uint64) error

	// OnChange has f called after each change of Status, never concurrently, and without locks held. It is called once,
	// before the member serves clients.
	OnChange(f func())
}

// Status is what a member knows of its cluster at one moment.
type Status struct {
	ClusterID uint64
	Term      uint64
	Leader    uint64 // the member that leads, as far as this member knows; zero if there is none
	Committed uint64 // the place in the log up to which this member knows changes to be committed
	Applied   uint64 // the place in the log up to which this member has applied changes
	Restored  uint64 // the place in the log to which another member's state has taken this one last, instead of single changes; zero if none has
	Members   []MemberInfo
}

// MemberInfo describes a member to clients.
type MemberInfo struct {
	ID         uint64
	Name       string
	PeerURLs   []string
	ClientURLs []string
}
