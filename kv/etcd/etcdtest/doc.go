// Package etcdtest runs a real etcd cluster of one or more members, in the current process or in separate processes. It is
// for tests that must see what etcd itself does when a member dies, the network splits, history is compacted, or a backup is
// restored. Nothing has to be installed. Three members serve in well under a second. Nothing is left when the test ends.
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
// Members are numbered from 0. [Cluster.Client] is a client of the given members, or of all if none is given.
// A client of member 0 alone sees what happens when member 0 stops; a client of 1 and 2 does not. [Cluster.ClientConfig] is
// the configuration of such a client, to which a test can add a user name, a logger or an interceptor. Clients connect to
// members over unix sockets. Members connect to each other over ports of 127.0.0.1, which the cluster holds as long as it
// lives. So a member has the same addresses each time it is started, and any number of clusters can run concurrently, in one
// process or in many.
//
// A client of [Cluster.ClientConfig] connects through [Cluster.Network], which can be made to fail. Its connections go
// straight to the member until a fault touches them, so that the network costs nothing before. A client that is made from
// [Cluster.Endpoints] alone does not use the network. With [WithProxies] the network carries such clients too, also those of
// another program.
//
// # Processes
//
// By default all members run in the current process. This is fastest, and lets a test reach into a server, but a server
// that ends there still shuts down in order. [WithProcesses] gives each member a separate process, in which this program runs
// again. Then Stop is SIGKILL and [Cluster.Freeze] is SIGSTOP, for which no server can prepare. Only what was written to files
// survives a kill. The process dies and not the machine, so this includes what the operating system has yet to flush: such a
// test loses nothing by not flushing. None of these processes outlives the process that started it, however that ends. On
// systems other than Linux, a frozen process stays until it is thawed.
//
// # Faults of members
//
//   - [Cluster.Stop] kills members, [Cluster.Restart] starts them again on the data they had.
//   - [Cluster.Freeze] stops members' processes where they are, [Cluster.Thaw] lets them go on.
//   - [Cluster.Partition] cuts members off from the others, though not from their clients; [Cluster.Heal] ends that.
//   - [Cluster.MoveLeader] and [Cluster.WaitLeader] arrange which member leads, and wait until one does.
//   - [Cluster.Compact] discards history, on all members before it returns.
//   - [Cluster.Backup] and [Cluster.Restore] take the cluster back to an older state: revisions go back.
//   - [Cluster.Replace] starts another, empty cluster at the same addresses.
//   - [Cluster.Watchers] is the number of watches that a member serves. It proves that a program leaves none behind.
//
// For anything else use [Cluster.Member], which is the server itself if it runs in this process.
//
// # Faults of the network
//
// A [Network] connects clients and members:
//
//   - [Network.Swallow] loses all packets. Connections go silent without an end, and new ones hang.
//     [Network.SwallowRequests] and [Network.SwallowAnswers] lose those of one direction.
//   - [Network.Forget] makes the connections that exist silent for ever; new ones work at once.
//   - [Network.Reset] breaks the connections that exist, and [Network.Refuse] refuses new ones.
//   - [Network.Delay] and [Network.Throttle] make it slow.
//   - [Network.Mend] ends all of these, and delivers what was held.
//
// This test shows how a program leaves a member that has vanished silently:
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
// up: a silent connection stays silent, where a kernel ends it after a quarter of an hour. A member does not hear that
// the client of a silent connection has closed it until the network is mended, and goes on serving its watches.
//
// All methods may be called concurrently. Those that start or stop members take turns.
//
// # What differs from production
//
// A heartbeat is sent every 50 ms and an election begins after 500 ms without one, where etcd's defaults are 100 ms and
// one second, so a lost leader is replaced within a second. Nothing is flushed to disk, passwords are hashed with
// the least effort, and the HTTP gateway is off. [WithConfig] changes any of this.
package etcdtest
