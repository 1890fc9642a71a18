// Package mvcc is what etcd's data is: keys with their values, in revisions, with a history that can be compacted. It is the
// common core of package memory, which offers it as a store, and of package etcdmem, which offers it as etcd's API. So both
// have the same rules, and each rule is written once.
//
// A [Store] has the keys and their history. An [Index] finds the watches that a change concerns. Neither has a lock: their
// owner serializes the calls. Records are never modified, so they may be read without the owner's lock, and kept.
package mvcc
