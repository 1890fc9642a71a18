// Package logkv is a [kv.Store] whose data is one file: a log to which every commit appends a line.
//
// It shows how a store is written: docs/writing-a-backend.md explains this code. It is also useful in itself: the programs of one
// machine can watch durable keys without a server. Any number of Stores, in any number of processes, may have the same log open.
// A write is on the disk when it returns. If a program is killed while it writes, the next writer repairs the log.
//
// The first line of a log is a header: the contents of the store at some revision. Each later line is a record: the changes of
// the next revision. So a revision is the number of a record, and a watch reads the log forward. Writers take turns with a
// lock on a second file. Readers take no lock: they look for new lines before every Get, and every few milliseconds while a
// watch waits. A compaction writes another log, with a later header, and renames it over the old one.
//
// The contents of the store are kept in memory, and a Get of more than one key looks at every entry. A log grows with every
// write until [Store.Compact] is called. The lock is flock's: on systems without flock, [Open] fails with
// [kv.ErrUnsupported].
package logkv
