// Package etcdtest runs a real etcd cluster of one or more members, in the current process or in separate processes. It is
// for tests that must see what etcd itself does when a member dies, the network splits, history is compacted, or a backup is
// restored. Nothing has to be installed. Three members serve in less than a second. Nothing is left when the test ends.
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
// A client of member 0 alone notices when member 0 stops. A client of 1 and 2 does not. [Cluster.ClientConfig] is
// the configuration of such a client, to which a test can add a user name, a logger or an interceptor. Clients connect to
// members over unix sockets. Members connect to each other over ports of 127.0.0.1. The cluster holds these ports until it is
// closed. So a member has the same addresses each time it is started, and any number of clusters can run concurrently, in one
// process or in many.
//
// A client of [Cluster.ClientConfig] connects through [Cluster.Network], which a test can make fail. Until a fault touches a
// connection, its bytes go straight to the member, so that the network costs nothing. A client that is made from
// [Cluster.Endpoints] alone does not use the network. With [WithProxies] the network carries such clients too, also those of
// another program.
//
// # Processes
//
// By default all members run in the current process. This is fastest, and a test can use the server itself. But such a server
// still shuts down in order. [WithProcesses] gives each member a separate process, in which this program runs
// again. Then Stop is SIGKILL and [Cluster.Freeze] is SIGSTOP, for which no server can prepare. Only what was written to files
// survives a kill. Because the process dies and not the machine, that includes what the operating system has yet to flush. None of
// these processes outlives the process that started it, even if that is killed. On systems other than Linux, a frozen process
// stays until it is thawed.
//
// # Faults of members
//
//   - [Cluster.Stop] kills members. [Cluster.Restart] starts them again with their data.
//   - [Cluster.Freeze] suspends the processes of members. [Cluster.Thaw] resumes them.
//   - [Cluster.Partition] separates members from the other members, but not from their clients. [Cluster.Heal] ends that.
//   - [Cluster.MoveLeader] decides which member leads. [Cluster.WaitLeader] waits until a member leads.
//   - [Cluster.Compact] discards history on all members.
//   - [Cluster.Backup] and [Cluster.Restore] take the cluster back to an older state: revisions go back.
//   - [Cluster.Replace] starts another, empty cluster at the same addresses.
//   - [Cluster.Watchers] is the number of watches that a member serves. It proves that a program leaves none behind.
//
// For anything else use [Cluster.Member]. It returns the server itself if the server runs in this process.
//
// # Faults of the network
//
// A [Network] connects clients and members:
//
//   - [Network.Swallow] loses all packets. Connections become silent but do not end, and new connections hang.
//     [Network.SwallowRequests] and [Network.SwallowAnswers] lose the packets of one direction.
//   - [Network.Forget] silences the existing connections for ever. New connections work at once.
//   - [Network.Reset] breaks the existing connections, and [Network.Refuse] refuses new ones.
//   - [Network.Delay] and [Network.Throttle] make the network slow.
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
// The network differs from TCP in a few ways. After Mend it sends again at once, without TCP's pauses. It never gives
// up: a silent connection stays silent, while a kernel would end it after a quarter of an hour. When a client closes a silent
// connection, the member does not notice until the network is mended, and still serves the watches of that client.
//
// All methods may be called concurrently. Those that start or stop members take turns.
//
// # What differs from production
//
// A heartbeat is sent every 50 ms, and an election begins after 500 ms without one. So a lost leader is replaced within a second.
// etcd's defaults are 100 ms and one second. Nothing is flushed to disk, passwords are hashed with
// the least effort, a compaction does not pause between thousands of revisions, and the HTTP gateway is off. [WithConfig] can
// change all of this.
package etcdtest
