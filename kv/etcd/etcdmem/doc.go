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
// The answers are those of etcd: revisions, headers, errors with their codes and texts, what a watch is sent and in which
// pieces. Random programs of calls with any field run on etcd and on this package, and every answer is compared. What is not
// offered answers Unimplemented, as a server does that does not know a method. docs/etcdmem.md lists what is offered, and what
// differs.
//
// # Members
//
// Members are numbered from 0. They are simulated: no raft runs, but each member has its place in one log of changes, and what
// a client sees of a member follows from that, and from who leads and who can reach whom. So a member that is cut off serves
// stale reads, refuses others after the time that etcd takes, and catches up later. Elections, timeouts and expiry take the
// time that they take in etcd, on the clock of the bubble.
//
// The methods have the names of those of package etcdtest, which runs real clusters, and mean the same:
//
//   - [Cluster.Stop] kills members, [Cluster.Restart] starts them again on the data they had.
//   - [Cluster.Freeze] stops members' processes where they are, [Cluster.Thaw] lets them go on.
//   - [Cluster.Partition] cuts members off from the others, though not from their clients; [Cluster.Heal] ends that.
//   - [Cluster.MoveLeader] and [Cluster.WaitLeader] arrange which member leads, and wait until one does.
//   - [Cluster.Compact] discards history, on all members before it returns.
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
// A test that is written for an [AnyCluster] runs on a cluster of this package or of package etcdtest, as a flag decides.
//
// # Etcd as it was
//
// [WithDefects] gives the members bugs that etcd's watches have had. So a test can show whether a program bears with them.
//
// # In a synctest bubble
//
// Start the cluster in the bubble, and make its clients there. Close clients that you made with clientv3.New before the test
// ends; those of [Cluster.Client] are closed with the cluster.
//
// A call takes no time in a bubble. A program that names keys by the time, as the recipes of etcd's client do, and tries again when
// the name is taken, would do so for ever. [Network.Delay] gives calls a duration.
//
// To import this package changes one variable of etcd's client, for the whole program: a channel that is never closed, which
// the client makes outside of any bubble and waits for in every watch, becomes a nil channel, which is never closed either.
// Otherwise time would not pass in a bubble with a watch.
package etcdmem
