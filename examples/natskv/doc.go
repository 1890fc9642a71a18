// Package natskv is a [kv.Store] over a key-value bucket of NATS JetStream. It is an example of a store outside the
// module that uses only the module's public packages. Copy it, or learn from it what such a store needs.
//
// A bucket is a stream, and this package works on the stream. The bucket interface of the NATS client is not enough: its
// entries have no headers, so there is no place for a key's version. It reads from replicas that may be behind. And its
// watch silently skips what was removed from the stream.
//
// # How the contract is kept
//
//   - A revision is a sequence number of the stream. Each message is one change, so no two changes share a revision,
//     and the store is not a [kv.Committer].
//   - A key is a subject (subject.go). What subjects cannot hold is escaped.
//   - The headers of a message have the metadata that etcd would return for the entry (entry.go). A message is written only if the
//     subject's last message is still the one that the writer has read (write.go).
//   - A read asks the stream's leader, never a replica (get.go).
//   - A watch reads all of the bucket and filters the messages itself (watch.go). That costs traffic, but makes gaps
//     visible: sequence numbers rise by one, so a missing number is missing history.
//   - Compaction removes what was overwritten or deleted (compact.go). If something else removes messages, such as the
//     bucket's history limit or an operator's purge, a watch reports that in the same way.
//   - The store remembers the time of the newest message. That shows whether a stream was restored from a backup (reset.go).
//
// The README says what NATS cannot offer.
package natskv
