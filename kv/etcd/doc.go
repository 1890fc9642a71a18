// Package etcd is a [kv.Store], [kv.Writer] and [kv.Committer] over etcd.
//
//	client, err := clientv3.New(etcd.KeepAlive(clientv3.Config{Endpoints: endpoints}))
//	...
//	defer client.Close()
//	store := etcd.New(client)
//
// [New] takes whatever reads, writes and watches as etcd's client does, so a client in a namespace works too.
// Replace the parts of a whole client, as below, rather than pass on the parts alone: a whole client tells the Store
// when it is closed, which with parts takes seconds to find out.
//
//	client.KV = namespace.NewKV(client.KV, "/tenant/")
//	client.Watcher = namespace.NewWatcher(client.Watcher, "/tenant/")
//
// What answers from a memory of its own (the leasing and the ordering packages of etcd's client) is not for here.
//
// # What it adds to etcd's client
//
//   - A large range is read in pages, all of one revision, and read again from its beginning should that be compacted
//     on the way.
//   - A watch holds a bounded amount for a consumer that does not keep up ([WithBuffer]), where etcd's client goes on
//     collecting. Past the bound it lets go of etcd; once the consumer has caught up it goes on from there, out
//     of etcd's history, or ends with a [kv.CompactedError] if that is gone.
//   - A watch requires its member to have a leader, so a member cut off from the others ends it with
//     [kv.ErrUnavailable] rather than be silent.
//   - A watch drops what lies at or below the revision it began after, and what is not in its range.
//   - Replaced history is [kv.ErrReset]. The Store remembers the cluster, the highest revision and each member's raft
//     term that its answers have named. A read or write that is answered from another cluster, or from an earlier point
//     than was known before it was asked for, ends all running watches. So does an answer to a watch from another
//     cluster, and one that says that a watch has begun at a member which is not where it was any more. A watch that
//     sees its own stream go back ends alone.
//   - After a refusal (an expired token, a permission taken away) later watches use another connection stream: the
//     old one would go on refusing with what it was opened with.
//   - A watch that no member acknowledges within two seconds is asked for on another connection stream as well, and all
//     Stores of the client begin their watches there. A request for a watch is never cancelled before it is acknowledged:
//     etcd's client would keep its stream for ever, with all later watches waiting in it.
//   - A read asks a stream that has been silent whether it is alive. If it does not answer, and a newer stream does, its
//     watches end with [kv.ErrUnavailable], and are begun again elsewhere by whoever reads them.
//   - A read that is slow finds out why. If other members answer and some connection does not, it is sent again. If
//     nothing answers, it ends with [kv.ErrUnavailable] and what the connection knows: connection refused, no such host, a
//     certificate, no leader. If a new connection answers, the connection had died without a reset, and the client is
//     made to use new ones: its endpoints are set again, which breaks no request. This needs a *clientv3.Client.
//   - While a watch is open, or a read fails, a client that has no connection tries to connect every 5 s or so. By default gRPC's
//     delays grow to two minutes, and the watches of etcd's client wait for them. This needs a *clientv3.Client too.
//   - Every error is one of package kv's, and wraps etcd's own.
//
// What it does not add is a second try. A write is sent once: where its error is [kv.ErrUnavailable], or its context's,
// it may or may not have happened. A watch that ends is not begun again. With no member in reach, a watch and a write
// wait for one until their context ends: etcd's client does not say that it cannot connect. A member that has no
// leader refuses a watch, but keeps a write for seconds, and then the client sends it again, for minutes: give
// calls a context that ends.
//
// A cluster that is restored under its old identity, and passes the revision it had before anyone reads, cannot be told
// from the one it was, unless the raft term of a member that was heard before is lower. Operators can make it so that
// it can: restore with --bump-revision and --mark-compacted, and every watch of the old history ends with
// [kv.ErrCompacted].
//
// A server that is started again with an empty data directory, under its old name, may have the identity of the old cluster. etcd's
// client resumes its watches there silently, and they bring nothing until the new history passes their revision. So a Store makes one
// small read each time its client has connected again after an outage, and all its watches end with [kv.ErrReset] if revisions
// have gone back. It makes such a read also when a watch begins at a member that is behind what the Store has heard of. A read that
// gets no answer is made three times at most. While the client stays connected a Store reads nothing by itself.
//
// All Stores of one *clientv3.Client share what they know of the cluster, and these reads. A client with several members
// counts as connected while one of them is. A Store over the parts of a client cannot see the connection: it finds out at the next
// read of its program. A value of package value makes one when its watch has been silent for a minute.
//
// # Errors
//
// Errors about users, roles, passwords and tokens are [kv.ErrPermission], also those that pass when a new token is
// fetched: only another try tells. That the users have just been changed is [kv.ErrUnavailable]. So are the states of
// a cluster, a full database among them, and all that is unknown. A request or an answer that does not fit into a message
// is [kv.ErrTooLarge].
//
// The page docs/connecting.md of this module has a table of each way not to connect, the words of the error, and what to do.
// A test makes it.
//
// # Versions of etcd
//
// The package compiles and is tested with versions 3.6.16 and 3.7.3 of etcd's client, each with a server of the same version.
// Its go.mod asks for 3.6.16, so a program gets that or the newer one that it asks for itself. The code compiles with
// every client from 3.6.0 on. It does not compile with 3.5, whose client has no names for some of etcd's errors.
// A program that also imports etcdtest takes client and server of one version. The suite of package conformance also
// holds with client 3.6.16 on server 3.7.3, and with client 3.7.3 on server 3.6.16.
//
// The package asks for nothing that a server of version 3.4 does not have. But no store can keep more than etcd keeps, so use
// 3.5.28, 3.6.9, 3.7 or later. These defects, which are listed in etcd's own changelog, have broken what package kv
// promises:
//
//	fixed in               what happened                                                   promise
//	3.5.3                  members disagreed about data and revision, from 3.5.0 on        S1, S2
//	3.4.24, 3.5.8          events were sent twice                                          W3 (*)
//	3.4.25, 3.5.8          older events came after a member caught up by a snapshot        W2 (*)
//	3.4.31, 3.5.13         events were lost after a compaction                             W4
//	3.4.32, 3.5.14         the revision fell after a panic during a compaction             W13 (*)
//	3.4.34, 3.5.16         a deletion at the compacted revision was lost                   W4
//	3.4.36, 3.5.18         the same, for a watch begun while etcd compacted                W4
//	3.4.38, 3.5.22, 3.6.2  a watch of the future got older events or notifications         W9 (*)
//	3.4.42, 3.5.28, 3.6.9  reads were stale around a change of leader or a paused process  S1
//
// Where there is a (*) the package notices: it drops what was not asked for, and a stream that contradicts itself ends
// with [kv.ErrReset], so that its reader reads afresh. The others it cannot see.
//
// Two more are in 3.6.16 and 3.7.3. A transaction that deletes a range up to the end of all keys and then puts a key of
// that range makes two changes of one key in one revision; compacting at exactly that revision makes the next read kill
// the server. This package sends no such transaction. And etcd takes time quadratic in the number of events to cut a
// response into messages: catching up on a thousand transactions of a hundred small values each takes it minutes
// instead of half a second. So the package asks for that only where the client was told to take no large messages
// (MaxCallRecvMsgSize) and has met one. Leave that setting alone, or above what a thousand transactions may amount to.
//
// A watch that ends before a member has acknowledged it leaves a goroutine behind until one has, or the client is closed:
// the server's watch has to be ended. There is one for each stream that was tried, seven in a row at most, whatever the number
// of watches.
//
// The gRPC proxy of etcd is not supported: it merges the watches of its clients into one, and answers no requests for
// progress or for smaller messages.
package etcd
