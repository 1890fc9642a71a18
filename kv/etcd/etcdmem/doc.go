// Package etcdmem is an etcd cluster in memory, for tests of programs that use etcd's client. The client is the real one. The
// cluster speaks etcd's gRPC API over connections in memory: there is no port, no file and no process, and it starts in less
// than a millisecond. It works in a testing/synctest bubble, where a lease of ten minutes expires at once.
//
//	func TestApp(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			cluster := etcdmem.Start(t, 3)
//			client := cluster.Client() // a *clientv3.Client, which knows all three members
//
//			app := start(client)
//			leader, _ := cluster.Leader()
//			cluster.Stop(leader) // as if its process had been killed
//			...
//		})
//	}
//
// [Start] is for tests: it fails the test if the cluster cannot start, and stops everything when the test ends. [New] is for
// programs that are not tests.
//
// # What it answers
//
// The answers are those of etcd: revisions, headers, errors with their codes and texts, the responses of watches and how events
// are divided among them. Random programs of calls with any field run on etcd and on this package, and every answer is compared.
// A method that is not offered returns Unimplemented. docs/etcdmem.md lists what is offered, and what differs.
//
// # Members
//
// Members are numbered from 0. They are simulated without raft. Each member has a position in one log of changes. A member's
// answers follow from that position, from who leads, and from which members can reach each other. So a member that is cut off serves
// stale reads, refuses other calls after the time that etcd takes, and catches up later. Elections, timeouts and expiry take the
// time that they take in etcd, on the clock of the bubble.
//
// The methods have the names of those of package etcdtest, which runs real clusters, and mean the same:
//
//   - [Cluster.Stop] kills members. [Cluster.Restart] starts them again with their data.
//   - [Cluster.Freeze] suspends the processes of members. [Cluster.Thaw] resumes them.
//   - [Cluster.Partition] separates members from the other members, but not from their clients. [Cluster.Heal] ends that.
//   - [Cluster.MoveLeader] decides which member leads. [Cluster.WaitLeader] waits until a member leads.
//   - [Cluster.Compact] discards history on all members.
//   - [Cluster.Backup] and [Cluster.Restore] take the cluster back to an older state: revisions go back.
//   - [Cluster.Replace] starts another, empty cluster at the same addresses.
//   - [Cluster.Watchers] is the number of watches that a member serves.
//
// # The network
//
// A client of [Cluster.Client] or [Cluster.ClientConfig] connects through [Cluster.Network], which can lose packets in either
// direction, forget connections, reset or refuse them, and be slow.
//
// # Real etcd instead
//
// A test that is written for an [AnyCluster] can run on a cluster of this package and on a real cluster of package etcdtest.
//
// # Defects of older releases
//
// [WithDefects] gives the members bugs that etcd's watches have had. So a test can show whether a program tolerates them.
//
// # In a synctest bubble
//
// Start the cluster in the bubble, and make its clients there. Close clients that you made with clientv3.New before the test
// ends; those of [Cluster.Client] are closed with the cluster.
//
// A call takes no time in a bubble. Some programs, such as the recipes of etcd's client, derive the name of a key from the time, and
// try again if the name exists. In a bubble they would try for ever. [Network.Delay] gives calls a duration.
//
// An import of this package changes one variable of etcd's client, for the whole program. The variable is a channel that is never
// closed. The client makes it outside of any bubble, and each watch waits for it, so time would not pass in a bubble with a watch.
// This package replaces it by a nil channel, which is never closed either.
package etcdmem
