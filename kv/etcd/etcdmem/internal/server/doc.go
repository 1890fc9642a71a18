// Package server offers etcd's gRPC services for one member of a simulated cluster: keys and values, watches, leases, users, and
// what clients need of the rest.
//
// The members of a cluster share one [State]. It holds the result of the changes in the cluster's log, and enough of the past. So each
// member can answer from a [view]: the state at the place in the log up to which the member has applied changes. A [Server] is one
// member's process. A [Member] is what a server needs of the consensus. Package members simulates it.
//
// Each rule of etcd is in one file:
//
//   - check.go: requests that are wrong whatever the state is; overlap.go: a key that a transaction writes twice;
//   - read.go, write.go, txn.go, compare.go: what reads and changes of keys do;
//   - hub.go: which watches get which changes, and when; queue.go: how much waits for a client; stream.go: the client's requests;
//   - require_leader.go: calls and streams that a member without a leader refuses;
//   - lease.go: leases and their keys; lease_expiry.go: when a lease ends; lease_service.go: which member answers;
//   - auth.go: permissions; auth_changes.go: their changes; tokens.go: which user makes a call;
//   - versions.go: what etcd 3.6 and 3.7 do differently.
package server
