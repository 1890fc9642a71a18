// Package etcdtest runs a real etcd cluster, of one to many members, inside the current process or in processes of its
// own, for tests that must see what etcd itself does: when a member dies, when the network splits, when history is compacted, when a backup is
// restored. Nothing has to be installed, three members are serving in well under a second, and nothing is left when
// the test ends.
//
//	func TestApp(t *testing.T) {
//		cluster := etcdtest.Start(t, 3)
//		client := cluster.Client() // knows all three members
//
//		app := start(client)
//		cluster.Stop(0)                // as if its process had been killed
//		cluster.WaitLeader(t.Context()) // perhaps it led
//		client.Put(t.Context(), "/app/limits", "20")
//		...
//	}
//
// [Start] is for tests: it fails the test if the cluster cannot start, stops everything when the test ends, and shows
// the servers' logs only if the test failed. [New] is for programs that are not tests.
//
// # Members and clients
//
// Members are numbered from 0. [Cluster.Client] is a client of the members that are named, of all if none is: a client
// of member 0 alone sees what happens when member 0 goes, a client of 1 and 2 does not. [Cluster.ClientConfig] is
// the configuration of such a client, for those who add a user name, a logger or an interceptor. Clients speak to
// members over unix sockets, members to each other over ports of 127.0.0.1 that the cluster holds for as long as it
// lives. A member therefore has the same addresses each time it is started, and any number of clusters run side by
// side, in one process or in many.
//
// A client of [Cluster.ClientConfig] connects through [Cluster.Network], which can be made to fail. Its connections go
// straight to the member until a fault touches them, so that the network costs nothing before. A client that is made of
// [Cluster.Endpoints] alone does not use the network. To carry such clients too, also those of another program, give
// the members proxies with [WithProxies].
//
// # Processes
//
// By default all members run in the current process. That is the fastest, and lets a test reach into a server, but a
// server that is ended there still winds up. [WithProcesses] gives each member a process of its own, in which this
// program runs again, and with that faults that nothing can prepare for: Stop is SIGKILL, and [Cluster.Freeze] is
// SIGSTOP. What survives a kill is what was written to files. Because it is the process that dies and not the machine,
// that includes what the operating system has yet to flush, so that not flushing takes nothing away from such
// a test. None of these processes outlives the one that started it, however that ends; on systems other than Linux
// one that is frozen then stays until somebody thaws it.
//
// # Faults of members
//
//   - [Cluster.Stop] kills members, [Cluster.Restart] starts them again on the data they had.
//   - [Cluster.Freeze] stops members' processes where they are, [Cluster.Thaw] lets them go on.
//   - [Cluster.Partition] cuts members off from the others, though not from their clients; [Cluster.Heal] ends that.
//   - [Cluster.MoveLeader] and [Cluster.WaitLeader] arrange which member leads, and wait until one does.
//   - [Cluster.Compact] discards history, on all members before it returns.
//   - [Cluster.Backup] and [Cluster.Restore] take the cluster back to an older state: revisions go back.
//   - [Cluster.Replace] puts another, empty cluster behind the same addresses.
//   - [Cluster.Watchers] is how many watches a member serves, to prove that a program leaves none behind.
//
// What is not here is reached through [Cluster.Member], which is the server itself where it runs in this process.
//
// # Faults of the network
//
// What is between clients and members is a [Network]:
//
//   - [Network.Swallow] loses all packets. Connections go silent without an end, and new ones hang.
//     [Network.SwallowRequests] and [Network.SwallowAnswers] lose those of one direction.
//   - [Network.Forget] makes the connections that exist silent for ever; new ones work at once.
//   - [Network.Reset] breaks the connections that exist, and [Network.Refuse] refuses new ones.
//   - [Network.Delay] and [Network.Throttle] make it slow.
//   - [Network.Mend] ends all of these, and delivers what was held.
//
// A test of how a program gets away from a member that has vanished without a word:
//
//	watch := client.Watch(ctx, "/app/limits")
//	...
//	for i := range cluster.Size() {
//		if cluster.Watchers(i) > 0 {
//			cluster.Network().Swallow(i)
//		}
//	}
//
// The network differs from TCP in a few ways. It sends again as soon as it is mended, without TCP's pauses. It never gives
// up: a connection that is silent stays so, where a kernel ends it after a quarter of an hour. A member does not hear that
// the client of a silent connection has closed it until the network is mended, and goes on serving its watches.
//
// All methods may be called from several goroutines. Those that start or stop members take turns.
//
// # What differs from production
//
// A heartbeat is sent every 50 ms and an election begins after 500 ms without one, where etcd's defaults are 100 ms and
// one second, so a lost leader is replaced within a second. Nothing is flushed to disk, passwords are hashed with
// the least effort, and the HTTP gateway is off. [WithConfig] changes any of this.
package etcdtest
