// Package server offers etcd's gRPC services for one member of a simulated cluster: keys and values, watches, leases, users, and
// what clients need of the rest.
//
// The members of a cluster share one [State], which holds what the changes in the cluster's log have made, and enough of the past
// that each member can answer as of the place in the log up to which it has applied changes: a [view]. A [Server] is one member's
// process. The other side is [Member]: what a server needs of the consensus, which package members simulates.
//
// Each rule of etcd is in one place:
//
//   - check.go: what is wrong with a request by itself; overlap.go: a key that a transaction writes twice;
//   - read.go, write.go, txn.go, compare.go: what reads and changes of keys do;
//   - hub.go: which watches are told what, and when; queue.go: how much waits for a client; stream.go: what it asks for;
//   - require_leader.go: calls and streams that a member without a leader refuses;
//   - lease.go: what a lease is; lease_expiry.go: when it ends; lease_service.go: who answers for it;
//   - auth.go: who may do what; auth_changes.go: what changes that; tokens.go: who asks;
//   - versions.go: what etcd 3.6 and 3.7 do differently.
package server
