package server

import "go.etcd.io/etcd/api/v3/version"

// The answers are those of the version of etcd whose API is linked: 3.6, or 3.7 and later.
func since37() bool { return version.APIVersion != "3.6" }

// leaseFirst reports whether a put in a transaction that names an unknown lease, and a key that must exist and does not, is
// refused for the lease. Etcd 3.6 refuses it for the key.
func leaseFirst() bool { return since37() }

// keysLackLease reports whether a read of keys without values leaves out their leases too, unless it is sorted by value.
func keysLackLease() bool { return since37() }
