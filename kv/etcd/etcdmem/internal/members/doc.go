// Package members simulates the members of an etcd cluster: who leads, who has applied what, and which calls wait, fail or are
// answered, and after how long, while members are stopped, frozen, or cut off from each other.
//
// No raft runs. There is one log for all. A change is applied once, when it is committed; each member has applied the log up to some
// place. Messages between members take no time, so most of what raft does happens in one step: a leader that reaches a majority
// commits what it is given at once. What takes time in etcd takes the same here, on the clock of the testing/synctest bubble if there
// is one: a heartbeat, an election, a leader's discovery that it has lost its majority, a request's timeout. While all is well, there
// are no timers at all.
//
// # Rules
//
// These are the rules of etcd that the package follows, with the place in etcd's source that has them. Times are given for etcd's
// defaults: a heartbeat every 100 ms, and elections after one second.
//
//   - A member that hears nothing of its leader for 1 to 1.9 s, by chance, has none any more, and asks the others for their votes (raft:
//     tickElection, resetRandomizedElectionTimeout).
//   - A member grants no vote while it has heard of its leader within a second, nor to one whose log is behind its own. A member that is
//     not granted the votes of a majority does not raise its term, so one that comes back disturbs nobody (raft: Step, pre-vote).
//   - A leader checks every second that a majority has answered since the last check, and has no leader any more if not: so it takes one
//     to two seconds (raft: tickHeartbeat, MsgCheckQuorum).
//   - A change that reaches a leader without a majority is committed late if the leader finds its majority again, and lost if another
//     leads by then. A change that is sent to a leader that is gone is lost. Nobody sends it again (raft: stepFollower).
//   - A proposal waits for a leader at most 7 s, five and two elections; then its error is that of its context. Once it is sent, it waits
//     as long for its change to be applied here, and then it has timed out (etcdserver: processInternalRaftRequestOnce).
//   - What the time-out is put down to: to the previous leader, if this member was elected after the proposal began and within two
//     elections of it; to a lost connection, if the leader, or a majority if this member leads, was not connected all the
//     time (etcdserver: parseProposeCtxErr).
//   - Linearizable reads ask the leader for its place in the log, one question at a time for all reads that wait. The leader answers when a
//     majority has confirmed it. The question is asked again every 500 ms; it fails after 7 s, and when the member hears of
//     another leader, which clients take for a reason to try again (etcdserver: linearizableReadLoop, requestCurrentIndex).
//   - A request that requires a leader fails at once while its member knows of none. A stream that requires one ends when the
//     member has seen none at three looks, one each second (v3rpc: newStreamInterceptor, monitorLeader).
//   - A leader that hands over takes no proposals until that is done, or a second has passed (raft: MsgTransferLeader).
//   - A member that starts serves nobody until a change of its own is applied; it tries again when that has timed out (etcdserver:
//     publishV3). If it reaches two others, or is alone, its first election comes eight tenths of a second, or nine, earlier
//     (etcdserver: adjustTicks).
//   - A member that lags by more than 5,000 changes gets the leader's state instead (etcdserver: compactRaftLog).
//
// # What a member answers that is cut off from the others
//
// Four files decide it, each for one kind of call. reach.go says who is cut off from whom.
//
//   - A write: propose.go. The member waits, and then timedOut chooses the error.
//   - A linearizable read: read_index.go.
//   - A stream that requires a leader, as a watch of kv/etcd does: require_leader.go. The stream ends.
//   - A unary call that requires a leader: require_leader.go of package server. It asks for [Member.Status] only.
//
// A serializable read that requires no leader is answered from the member's own data.
//
// # What is simpler than etcd
//
// Members that are cut off from each other stay connected, as far as the reason of a time-out goes, because that is what package
// etcdtest's Partition does to real ones. A member is no less connected for being slow, and none is slow. A member that has just
// been frozen counts as connected for five seconds. Membership does not change.
package members
