// Package kv is the contract between programs that watch keys and the stores that keep them.
//
// A [Store] has two methods. Get reads a range of keys as they were at one revision. Watch streams every change after a
// revision. A reader that calls Get, and then Watch with the revision that Get returned, has the current state and misses
// nothing. [Writer] and [Committer] are separate interfaces, because most programs only read.
//
// Package [github.com/watchkv/watchkv/kv/etcd] is a Store over etcd, package
// [github.com/watchkv/watchkv/kv/memory] is a Store in memory that gives the same answers, and package
// [github.com/watchkv/watchkv/kv/fault] makes any Store fail on request. Most programs want package
// [github.com/watchkv/watchkv/value], which turns a key of a Store into a typed, current value.
//
// # The contract
//
// A Store promises the following, and the author of a Store has to keep it. Tests, messages and documents use the numbers.
//
// Get:
//
//   - S1, linearizable: a Get sees every write that was acknowledged before the Get began.
//   - S2, one revision: all entries are as they were at Snapshot.Revision. None is newer and none is missing. They are
//     sorted by key, however many there are.
//   - S3, true metadata: CreateRevision, ModRevision and Version follow etcd's rules. The first put of a key sets all
//     three, also after a deletion. Each later put sets ModRevision and adds one to Version.
//   - S4, absent is not an error: a range without entries gives a Snapshot with nil Entries and the Revision to watch after.
//   - S5, bytes are the caller's: changing a slice that was passed to Put, or that a Get or an Event returned, changes
//     nothing that is stored or that others have received.
//   - S6, any bytes: keys may hold NUL, 0xff and slashes, and may have at least 1 KiB. Values may be empty and may have at
//     least 1 MiB. The empty key is [ErrInvalidKey].
//
// Watch:
//
//   - W1, no gap: a Watch after the Revision of a Get misses nothing, whatever is written between the two calls and however
//     late the Watch begins.
//   - W2, ordered: events come in the order of their revisions.
//   - W3, unique: no event comes twice.
//   - W4, complete: every event in the range after the given revision comes.
//   - W5, atomic: all events of one revision that are in the range come in one batch.
//   - W6, resumable: a caller may stop a watch after any batch and watch again after that batch's Revision. W1 to W5 hold
//     across the two watches.
//   - W7, true bookmarks: the Revision of a batch is never ahead of an event that is still to come. It is the revision of the
//     batch's last event, or, in a batch without events, a revision up to which nothing in the range has changed.
//   - W8, compaction is reported: where history after the given revision is gone, the watch ends with a [*CompactedError].
//     It never skips that history silently.
//   - W9, future revisions wait: an event at or below the given revision never comes, even if the store has not reached that
//     revision yet.
//   - W10, filtered: no event outside the range comes. An interval includes its first key and excludes its last.
//   - W11, independent: a consumer that is slow or blocked delays neither writers nor other watches. The memory that is held
//     for it is bounded.
//   - W12, prompt end: when the context is done or the caller stops, the watch ends at once, even when it is cut off from the
//     store. No goroutine, stream or timer is left.
//   - W13, replaced history is reported: when the store's past is no longer the one that this watch has delivered, the watch
//     ends with [ErrReset] as soon as the store can know. That is so after a restore from a backup, and when another store
//     answers at the same address. A new watch after a revision that this Store has returned from the lost history, by a Get or
//     a watch, ends so too while the new history has not reached that number: it does not wait as W9 says. Once the new history
//     has reached the number, a call of Watch cannot tell the two histories apart, and may deliver the new one.
//
// # Writing a store
//
// Watch returns an iterator. The author of a store writes one loop. A consumer that does not ask for more is backpressure.
// break and ctx are the only ways to stop, so there is nothing to close. A watch that ends for a reason other than these
// yields its error last. A sequence that ends without an error is a defect.
//
// Check a range with [Range.Validate], and translate it for the backend with [Range.Key] and [Range.Bounds]. Return an
// [*OpError] that wraps one of this package's errors and the backend's own error, so that callers can test for either.
//
// A store decides the following for itself:
//
//   - How it groups events into batches: one revision in each batch, or thousands, as long as no revision is split.
//   - When it yields bookmarks, if ever. A bookmark costs a reader little, and it saves the reader from an old revision to
//     resume after. So a watch of a few keys in a busy store should yield one now and then.
//   - Whether a watch survives a lost connection or ends with [ErrUnavailable], as long as nothing is lost: the reader watches
//     again after the last batch. If history was replaced meanwhile, this watch or the next one must end with ErrReset (W13).
//   - Whether there are gaps between revisions. But a read makes no revision, and neither does a write that fails or that
//     changes nothing: such a write returns the revision that a Get would return.
//   - When it forgets history, and how much. A watch may end as compacted even if nothing in its range was forgotten.
//
// Watch does nothing until the caller iterates, and it has no error to return. An invalid range or revision is the first and
// only error that the sequence yields. If ctx is done when the iteration begins, the sequence yields the error of ctx, and
// nothing before it.
//
// A client may hold several connections, and one of them may die without a reset. A request on it then hangs while the others
// would work. Nothing above the store can know that. So where a Get can hang on one dead connection, the store itself should
// try another.
//
// # What a store may offer beyond that
//
// Five small interfaces are optional. A reader asks with [As]. The first four have a function that is named like their method and works
// with any Store. A wrapper of a store should pass all five on.
//
//   - [Stater] reads a range without the values. Readers use it to check that a silent watch still works. Offer it where the
//     backend can leave out the values: without it, each check transfers all of them. S1, S2, S3 and S4 hold for Stat too.
//   - [Summarizer] counts the keys of a range, and reads only those that were put since a revision. Readers use it for the same check of
//     a range with many keys. Offer it where the backend can do that itself: without it, each check transfers all keys.
//   - [Acknowledger] reports when a server has accepted a watch. Readers use it to report that they are connected only when
//     they are. Offer it where a request for a watch can wait for a server that is gone.
//   - [ProgressRequester] asks the running watches for bookmarks. Programs use it to learn that nothing is missing up to now,
//     and to have a recent revision to resume after. Offer it where the backend can report progress on request. W7 holds for
//     these bookmarks too.
//
// # Silence
//
// A watch can die without an error. It then looks like a watch of keys that do not change. Nothing in this package checks for
// that. Package value checks silent watches with a small read: those of a key, and with NewMap and NewBundle those of a range. A
// program that watches through a bare Store has to do it itself: read the range now and then, compare it with what the watch has
// delivered, and watch again where the two differ.
package kv
