// Package kv is the contract between programs that watch keys and the stores that keep them.
//
// A [Store] has two methods: Get reads a range of keys as they were at one revision, and Watch streams
// every change after a revision. A reader that gets, and then watches after the revision it got, holds the
// current state and misses nothing. [Writer] and [Committer] are separate, because most programs only
// read.
//
// Package [github.com/watchkv/watchkv/kv/etcd] is a Store over etcd, package
// [github.com/watchkv/watchkv/kv/memory] one in memory that answers alike, and package
// [github.com/watchkv/watchkv/kv/fault] makes any of them fail on request. What most programs want is
// package [github.com/watchkv/watchkv/value], which turns a Store's key into a typed, current value.
//
// # The contract
//
// This is what a Store promises, and so what the author of one has to keep. The numbers are used in
// tests, messages and documents throughout.
//
// Get:
//
//   - S1, linearizable: it sees every write acknowledged before it began.
//   - S2, one revision: all entries are as they were at Snapshot.Revision; none is newer, none is missing,
//     and they are sorted by key, however many there are.
//   - S3, true metadata: CreateRevision, ModRevision and Version follow etcd's rules. The first put of a key
//     sets all three anew, also after a deletion; each later put sets ModRevision and adds one to Version.
//   - S4, absent is not an error: a range without entries gives a Snapshot with the Revision to watch after.
//     Its Entries is nil.
//   - S5, bytes are the caller's: changing a slice that was given to Put, or got from Get or in an Event,
//     changes nothing that is stored or given to others.
//   - S6, any bytes: keys hold NUL, 0xff and slashes and are up to 1 KiB long at least; values are empty or
//     up to 1 MiB at least. The empty key is [ErrInvalidKey].
//
// Watch:
//
//   - W1, no gap: after a Get at revision R, a Watch after R misses nothing, whatever is written between the
//     two and however late the Watch starts.
//   - W2, ordered: events come in the order of their revisions.
//   - W3, unique: no event comes twice.
//   - W4, complete: every event in the range after the given revision comes.
//   - W5, atomic: the events of one revision are in one batch.
//   - W6, resumable: a watch that is stopped at any batch and begun again after that batch's Revision keeps
//     W1 to W5 across the two.
//   - W7, true bookmarks: a batch's Revision never runs ahead of an event that is still to come. It is that
//     of its last event, or, without events, one up to which nothing in the range changed.
//   - W8, compaction is said: where history after the given revision is gone, the watch ends with a
//     [*CompactedError]. It is never skipped in silence.
//   - W9, future revisions wait: events at or below the given revision are never delivered, also where the
//     store has yet to reach it.
//   - W10, filtered: no event outside the range comes; intervals hold their first key and not their last.
//   - W11, independent: a consumer that is slow, or stuck, delays neither writers nor other watches, and
//     what is held in memory for it is bounded.
//   - W12, prompt end: when the context is done or the caller stops, the watch ends at once, also when cut
//     off from the store; no goroutine, stream or timer outlives it.
//   - W13, replaced history is said: where the store's past is no longer the one this watch delivered (it was
//     restored from a backup, or another store stands behind the address), the watch ends with [ErrReset] as
//     soon as the store can know.
//
// # Writing a store
//
// Watch returns an iterator: a store's author writes one loop, a consumer that does not ask for more is
// backpressure, and break and ctx are the only ways to stop, so nothing is left to close. A watch that ends
// without the caller's doing yields its error last; a sequence that ends without one is a defect.
//
// Check a range with [Range.Validate], and turn it into the backend's terms with [Range.Key] and
// [Range.Bounds]. Return [*OpError] around one of this package's errors and the backend's own, so that
// callers can test for either.
//
// What a store may do as it likes:
//
//   - How events are put into batches: one revision in each, or thousands, as long as no revision is split. All
//     that is pending may come at once, or a bit at a time.
//   - When bookmarks come, if any do. They cost a reader little and save it from an old place to resume after, so a
//     watch of few keys in a busy store should yield one now and then.
//   - Whether a watch rides out a lost connection or ends with [ErrUnavailable], if only it loses nothing: the
//     reader watches again after the last batch it got. If history was replaced meanwhile, the watch or the one
//     begun again must end with ErrReset (W13).
//   - Whether revisions have gaps between them. But reading makes none, and neither does a write that fails or that
//     changes nothing: such a write returns the revision that a Get would.
//   - When history is forgotten, and how much: a watch may also end as compacted though nothing in its range was.
//
// A Watch does nothing before it is iterated, and has no error to return: an invalid range or revision is the
// first and last thing it yields. Iterated with a ctx that is done it yields that error, and nothing before it.
//
// A client that holds several connections may hang on one that died without a reset, while the others work. Nothing above
// the store can know that. So where a Get can hang on one dead connection, the store itself should try another one.
//
// # What a store may offer beyond that
//
// Three small interfaces are optional. A reader finds out by type assertion, or calls the function of the same name, which
// works with any Store. A wrapper of a store should pass all three on.
//
//   - [Stater] reads a range without its values. Readers use it to check that a silent watch still works. Offer it where
//     the backend can leave out the values: without it each check transfers all of them. S1, S2, S3 and S4 hold of Stat
//     too.
//   - [Acknowledger] says when a server serves a watch. Readers use it to say that they are connected only when they are.
//     Offer it where a request for a watch can wait for a server that is gone.
//   - [ProgressRequester] asks the running watches for bookmarks. Programs use it to learn that nothing is missing
//     up to now, and to have a recent revision to resume after. Offer it where the backend can tell progress on request.
//     W7 holds of these bookmarks too.
//
// # Silence
//
// A watch can die without an error, and then looks like one of keys that do not change. Nothing in this package checks
// that. The values of package value check silent watches with a small read. A program that watches a prefix through a bare
// Store, and must not miss that, reads the range itself now and then, compares it with what the watch has
// delivered, and watches again where the two differ.
package kv
