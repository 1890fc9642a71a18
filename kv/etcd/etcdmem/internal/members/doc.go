// Package members simulates the members of an etcd cluster: who leads, who has applied what, and which calls wait, fail or are
// answered, and after how long, while members are stopped, frozen, or cut off from each other.
//
// No raft runs. All members share one log. A change is applied to the data once, when it is committed. Each member has applied the log up
// to some place. Messages between members take no time, so most of what raft does happens in one step: a leader that reaches a majority
// commits a change as soon as it gets the change. What takes time in etcd takes the same time here: a heartbeat, an election, a leader's
// discovery that it has lost its majority, the timeout of a request. It passes on the clock of the testing/synctest bubble if there is one.
// While all members are connected, there are no timers.
//
// # Rules
//
// These are the rules of etcd that the package follows, with the place in etcd's source that has them. Times are given for etcd's
// defaults: a heartbeat every 100 ms, and elections after one second.
//
//   - A member that has heard nothing of its leader for 1 to 1.9 s has no leader any more, and asks the others for their votes. Chance
//     decides the time (raft: tickElection, resetRandomizedElectionTimeout).
//   - A member grants no vote while it has heard of its leader within a second. It grants no vote to a member whose log is behind its own.
//     A member that does not get the votes of a majority does not raise its term. So a member that comes back does not disturb the others
//     (raft: Step, pre-vote).
//   - A leader checks every second whether a majority has answered since the last check. If not, it stops leading. So this takes one to two
//     seconds (raft: tickHeartbeat, MsgCheckQuorum).
//   - A change may reach a leader that has no majority. It is committed later if that leader finds its majority again. It is lost if another
//     member leads by then. A change that is sent to a dead leader is lost. No member sends it again (raft: stepFollower).
//   - A proposal waits for a leader at most 7 s, which is 5 s and two elections. Then its error is the error of its context. After the
//     proposal is sent, it waits as long again until this member has applied the change. Then it times out (etcdserver:
//     processInternalRaftRequestOnce).
//   - The error of the timeout names a cause. The cause is the previous leader if this member was elected after the proposal began and
//     within two elections of it. The cause is a lost connection if the leader was not connected all the time, or, where this member
//     leads, a majority was not (etcdserver: parseProposeCtxErr).
//   - A member asks the leader for its place in the log before it answers linearizable reads. It has one question under way at a time, for
//     all reads that wait. The leader answers when a majority has confirmed it. The member repeats the question every 500 ms. The question
//     fails after 7 s. It also fails when the member hears of another leader; clients try again after that error (etcdserver:
//     linearizableReadLoop, requestCurrentIndex).
//   - A request that requires a leader fails at once while its member knows no leader. A stream that requires a leader ends when the member
//     has found no leader at three checks in a row, one each second (v3rpc: newStreamInterceptor, monitorLeader).
//   - A leader that hands over its role takes no proposals until the other member leads, or a second has passed (raft: MsgTransferLeader).
//   - A member that starts serves no client until its own first change is applied. It proposes that change again after a timeout
//     (etcdserver: publishV3). Its first election comes 0.8 s earlier if the member reaches two others, and 0.9 s earlier if it is alone
//     (etcdserver: adjustTicks).
//   - A member that lags by more than 5,000 changes gets the leader's state instead of the changes (etcdserver: compactRaftLog).
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
// Members that are cut off from each other still count as connected when the cause of a timeout is chosen, because package etcdtest's
// Partition does the same to real members. No member is slow. A frozen member counts as connected for its first five seconds. The
// membership does not change.
package members
