package server

import "go.etcd.io/etcd/api/v3/version"

// The answers are those of the etcd version whose API is linked: 3.6, or 3.7 and later.
func since37() bool { return version.APIVersion != "3.6" }

// leaseFirst is about a put in a transaction with two mistakes: it names an unknown lease, and its key must exist and does not. leaseFirst
// reports whether the error names the lease. In etcd 3.6 the error names the key.
func leaseFirst() bool { return since37() }

// keysLackLease reports whether a read of keys without values also leaves out their leases. A read that is sorted by value has them.
func keysLackLease() bool { return since37() }

// anyoneSeesAuth reports whether a call of AuthStatus needs no token. In etcd 3.6 it needs that of an administrator.
func anyoneSeesAuth() bool { return since37() }
