// Package logkv is a [kv.Store] whose data is one file: a log to which every commit appends a line.
//
// It is for learning how a store is written, which docs/writing-a-backend.md shows with this code. It is also of use: to
// the programs of one machine that want durable keys to watch, and no server. Any number of Stores, of any number of
// processes, may have a log open. What was written is on the disk when the write returns, and a program that is killed
// while it writes leaves a log that the next writer mends.
//
// The first line of a log is a header: what the store held at some revision. Each line after it is a record: what the
// next revision changed. So a revision is the number of a record, and a watch reads the log forward. Writers take turns
// by a lock on a second file. Readers take none: they look for new lines before every Get, and every few milliseconds
// while a watch waits. A compaction writes another log, with a later header, and renames it over the old one.
//
// What the store holds is kept in memory, and a Get of more than one key looks at all of it. A log grows with every
// write until [Store.Compact] is called. The lock is flock's: on systems without it [Open] fails with
// [kv.ErrUnsupported].
package logkv
