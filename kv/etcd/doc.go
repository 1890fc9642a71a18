// Package etcd is a [kv.Store], [kv.Writer] and [kv.Committer] over etcd.
//
//	client, err := clientv3.New(etcd.KeepAlive(clientv3.Config{Endpoints: endpoints}))
//	...
//	defer client.Close()
//	store := etcd.New(client)
//
// [New] takes any value that reads, writes and watches as etcd's client does. So a client in a namespace works too. Replace the
// parts of a whole client, as below, and pass on the client, not only its parts. A whole client reports when it is
// closed. With parts the Store needs seconds to find that out. If the Context in the configuration of a whole client ends, the client counts
// as closed.
//
//	client.KV = namespace.NewKV(client.KV, "/tenant/")
//	client.Watcher = namespace.NewWatcher(client.Watcher, "/tenant/")
//
// Do not use the leasing client and the ordering client of etcd here: they answer from their own memory.
//
// # What it adds to etcd's client
//
//   - A large range is read in pages, all of one revision. If that revision is compacted meanwhile, the range is read from its
//     beginning again.
//   - A watch holds a bounded amount for a slow consumer ([WithBuffer]); etcd's client collects without a bound. Past the
//     bound the watch ends its request at etcd. When the consumer has caught up, the watch continues from etcd's history,
//     or ends with a [kv.CompactedError] if that history is gone.
//   - A watch requires its member to have a leader. If a member is cut off from the others, the watch ends with
//     [kv.ErrUnavailable] instead of staying silent.
//   - A watch drops events at or below the revision that it began after, and events outside its range.
//   - If history was replaced, the error is [kv.ErrReset]. A Store remembers the cluster, the highest revision and the raft term of
//     each member, from all answers. All running watches end if the answer to a read or a write comes from another
//     cluster, or from an earlier point than was known when the request was made. They also end if a watch brings an answer of another
//     cluster, or begins at a member that is no longer where it was. If only the stream of one watch goes back, only that watch ends.
//   - After a refusal (an expired token, a permission that was withdrawn) later watches use another stream of the connection. The
//     old stream would continue to refuse, with the token that it was opened with.
//   - If no member acknowledges a watch within two seconds, the watch is requested on another stream as well, and all
//     Stores of the client begin their watches there. A request for a watch is never cancelled before it is acknowledged.
//     etcd's client would keep its stream for ever, and all later watches would wait in it.
//   - A read that is not refused checks whether a silent stream is alive. If that stream does not answer and a newer stream does, the
//     watches of the silent stream end with [kv.ErrUnavailable]. Their readers can begin them again on another stream. A large response
//     over a slow link keeps its stream silent too. So the other stream may be silent for minutes, until it has answered.
//   - A slow read finds out why it is slow. If other members answer and one connection does not, the read is sent again, until that
//     connection answers: then it was only slow. If nothing answers, the read ends with [kv.ErrUnavailable] and the reason that the
//     connection knows: connection refused, no such host, a certificate, no leader. If a new connection answers, the old connection had
//     died without a reset. Then the Store sets the endpoints of the client again, so that the client uses new connections. This breaks
//     no request. It needs a *clientv3.Client.
//   - While a watch is open, or a read fails, a client without a connection tries to connect every 5 s or so. By default gRPC's
//     delays grow to two minutes, and the watches of etcd's client wait for them. This needs a *clientv3.Client too.
//   - Every error is an error of package kv, and wraps etcd's own.
//
// It does not try again. A write is sent once. If its error is [kv.ErrUnavailable], or the error of its context,
// the write may or may not have happened. A watch that has ended does not begin again. If no member can be reached, a watch and a write
// wait until their context ends, because etcd's client does not report that it cannot connect. A member without a
// leader refuses a watch. It keeps a write for seconds, and then the client sends the write again, for minutes. So give
// each call a context that ends.
//
// # Replaced history
//
// A cluster may be restored under its old identity, and pass its old revision before anyone reads. A Store cannot tell
// it from the old cluster, unless the raft term of a known member is lower. Operators can prevent
// that: restore with --bump-revision and --mark-compacted. Then every watch of the old history ends with
// [kv.ErrCompacted].
//
// A server that is started again with an empty data directory, under its old name, may have the identity of the old cluster. etcd's
// client resumes its watches there silently, and they bring nothing until the new history passes their revision. So a Store makes one
// small read each time its client has connected again after an outage, and all its watches end with [kv.ErrReset] if revisions
// have gone back. It makes such a read also when a watch begins at a member that is behind the highest known revision. If the read
// gets no answer, it is made three times at most. While the client stays connected, a Store reads nothing by itself.
//
// All Stores of one *clientv3.Client share these reads, and what they know of the cluster. A client with several members
// counts as connected while one of them is connected. A Store over the parts of a client cannot see the connection. It finds out at the
// next read of its program. A value of package value makes one when its watch has been silent for a minute.
//
// # Errors
//
// Errors about users, roles, passwords and tokens are [kv.ErrPermission]. Some of these pass when a new token is
// fetched, and only another try shows which. If the users have just been changed, the error is [kv.ErrUnavailable]. So are the states of
// a cluster, for example a full database, and every error that is not known. A request or an answer that does not fit into a message
// is [kv.ErrTooLarge].
//
// The page docs/connecting.md of this module has a table of each way not to connect, the words of the error, and what to do.
// A test writes that table.
//
// # Versions of etcd
//
// The package compiles and is tested with versions 3.6.16 and 3.7.3 of etcd's client, each with a server of the same version.
// Its go.mod asks for 3.6.16. So a program gets that version, or a newer one if the program asks for it. The code compiles with
// every client from 3.6.0 on. It does not compile with 3.5, whose client has no names for some of etcd's errors.
// A program that also imports etcdtest gets client and server of one version. The suite of package conformance also
// passes with client 3.6.16 on server 3.7.3, and with client 3.7.3 on server 3.6.16.
//
// The package needs nothing that a server of version 3.4 does not have. But no store can keep more than etcd keeps. So use
// 3.5.28, 3.6.9, 3.7 or later. The following defects, from etcd's own changelog, have broken promises of package kv:
//
//	fixed in               what happened                                                   promise
//	3.5.3                  members disagreed about data and revision, from 3.5.0 on        S1, S2
//	3.4.24, 3.5.8          events were sent twice                                          W3 (*)
//	3.4.25, 3.5.8          older events came after a member caught up by a snapshot        W2 (*)
//	3.4.25, 3.5.8          requested progress ran ahead of events that were still to come  W7 (*)
//	3.4.31, 3.5.13         events were lost after a compaction                             W4
//	3.4.32, 3.5.14         the revision fell after a panic during a compaction             W13 (*)
//	3.4.34, 3.5.16         a deletion at the compacted revision was lost                   W4
//	3.4.36, 3.5.18         the same, for a watch begun while etcd compacted                W4
//	3.4.38, 3.5.22, 3.6.2  a watch of the future got older events or notifications         W9 (*)
//	3.4.42, 3.5.28, 3.6.9  reads were stale around a change of leader or a paused process  S1
//
// The package notices the defects with a (*): it drops events that were not requested, and a stream that contradicts itself ends
// with [kv.ErrReset], so that its reader reads again. It cannot see the other defects.
//
// Versions 3.6.16 and 3.7.3 have two more. First, a transaction that deletes a range up to the end of all keys and then puts a key of
// that range changes one key twice in one revision. After a compaction at exactly that revision, the next read kills
// the server. This package sends no such transaction. Second, etcd takes time quadratic in the number of events to cut a
// response into messages. Catching up on a thousand transactions of a hundred small values each takes minutes
// instead of half a second. So the package requests cut responses only from a client that is configured to take no large messages
// (MaxCallRecvMsgSize) and has met one. Do not change that setting, or keep it above the size of a thousand transactions.
//
// The client of these versions can wait for ever, also in its Close: if the last watch of a stream ends, or the client is closed, at the
// moment when the server refuses another watch of the stream. This package requests no watch when a read has just been refused.
//
// If a watch ends before a member has acknowledged it, one goroutine remains until a member has acknowledged it or the client is
// closed, because the watch has to be ended at the server. There is one such goroutine for each stream that was tried, seven in a row
// at most, whatever the number of watches.
//
// The gRPC proxy of etcd is not supported. It merges the watches of its clients into one, and answers no requests for
// progress or for cut responses.
package etcd

// Where to find what:
//
//	store.go, options.go, shared.go      New, and what the Stores of one client share
//	get.go, summary.go, write.go         the calls that read and write
//	ask.go, diagnose.go, cause.go        a slow read: whether to send it again, and why nothing answers
//	connection.go, reconnect.go          what a client does after an outage, and how it gets new connections
//	watch.go, standin.go, buffer.go      a running watch: its consumer, and what it holds while the consumer is busy
//	watch_source.go, watch_response.go   the watches of etcd's client that a running watch reads, one after the other
//	lane.go, lane_open.go                lanes, the gRPC streams that many watches share; how a watch begins in one
//	lane_leave.go                        when watches change to another lane: after a refusal, or without an acknowledgement
//	lane_silent.go, progress.go          whether a lane still answers; requests for progress
//	identity.go                          whether the history was replaced
//	errors.go                            the errors of etcd as errors of package kv
