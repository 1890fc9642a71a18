package value_test

// These promises are checked by several tests. A failure also quotes the named guarantees from the documentation.
const (
	v1 = "V1, the first Get returns what a linearizable read finds that begins after the call"

	v3 = "V3, a slow reader skips to the newest value, and what it holds in memory does not grow with the updates"

	v4         = "V4, with EveryUpdate each update is returned once, in order"
	oneGap     = "V4, where the store's history is gone an EveryUpdate watcher returns one *GapError, and goes on from the newest"
	noGap      = "V4, a watcher that missed nothing returns no gap"
	outages    = "V4, each update is returned once, in order, also those of an outage"
	v4tooLarge = "V4, an update that is larger than the store's client accepts is reported once, and the watcher goes on"

	v5      = "V5, the revision behind successive Gets rises strictly"
	v5reset = "V5, a store whose history was replaced is read again, and what it holds is returned as new"
	v5same  = "V5, V13, after a replaced history, the entry that was returned last is not returned again"

	v6 = "V6, a deletion is returned once, as ErrDeleted or as the default"

	v7         = "V7, a value that does not decode is returned as an error of its update, and the watcher goes on"
	v7tooLarge = "V7, a value that is larger than the store's client accepts is a bad value, and the next good one arrives"

	v8  = "V8, cancelling a Get loses nothing: the next Get returns what the cancelled one would have"
	v9  = "V9, Close may be called twice and concurrently with a Get, which returns ErrClosed"
	v10 = "V10, a second concurrent Get fails with ErrConcurrentGet, and the first is not disturbed"

	v11         = "V11, an unavailable store is not an error of Get: Get waits"
	v11backoff  = "V11, the store is tried again with growing, jittered, capped delays, which start over only after progress"
	v11refusals = "V11, a permission that is gone is returned once for each attempt when a read has confirmed it, and the watcher heals"
	v11stale    = "V11, with WithMaxStaleness a Get returns ErrStale, and no value that was not confirmed for that long"
	v11check    = "V11, after a silence a read checks whether the watch still works"
	v11cause    = "V11, Status and the log say why the store cannot be reached, and silence does not hide it"

	v12 = "V12, one watch of the store per Value, however many watchers; none without a watcher; each update is decoded once"
	v13 = "V13, what is read again and unchanged is not returned again"
	v14 = "V14, Latest is the newest good value, with its revision and age, and is kept current while a watcher is open"
	v15 = "V15, AtLeast asks Get for the value as of a revision or later"
	v16 = "V16, a lost event is proven by the next one, counted, logged and healed by reading again"
)
