// Package natskv is a [kv.Store] over a key-value bucket of NATS JetStream: an example of a store written outside the
// module, from its public packages alone. Copy it, or learn from it what such a store is made of.
//
// A bucket is a stream, and the stream is what this package works on. The bucket interface of the NATS client would be
// too little: its entries carry no headers, so there is no place for a key's version; it reads from replicas that may
// be behind; and its watch passes over what was removed from the stream without a word.
//
// # How the contract is kept
//
//   - A revision is a sequence number of the stream. Each message is one change, so no two changes share a revision,
//     and the store is no [kv.Committer].
//   - A key is a subject (subject.go). What subjects cannot hold is escaped.
//   - A message says in its headers what etcd would say of the entry (entry.go). It is written on the condition that the
//     subject's last message is still the one it was made from (write.go).
//   - A read asks the stream's leader, never a replica (get.go).
//   - A watch reads the whole bucket and filters by itself (watch.go). That costs traffic, and is what makes a gap
//     visible: sequence numbers rise by one, so where one is missing, history is.
//   - Compaction is the removal of what was overwritten or deleted (compact.go). Whatever else removes messages (the
//     bucket's history limit, an operator's purge) looks the same to a watch and is reported in the same way.
//   - The time of the newest message is remembered, which shows that a stream was restored from a backup (reset.go).
//
// The README says what cannot be had from NATS.
package natskv
