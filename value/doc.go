// Package value gives programs the typed, current value of a key, and gives it again each time it changes.
//
//	limits := value.New(store, "/app/limits", value.JSON[Limits])
//
//	w := limits.Watch()
//	defer w.Close()
//	for {
//		l, err := w.Get(ctx) // first the current value, then waits until there is a newer one
//		switch {
//		case err == nil:
//			apply(l)
//		case errors.Is(err, value.ErrDeleted):
//			apply(defaults)
//		case ctx.Err() != nil || value.IsFinal(err):
//			return err
//		}
//	}
//
// The store is any [kv.Store]: etcd in production, package [github.com/watchkv/watchkv/kv/memory] in tests. This
// package knows neither.
//
// # What is promised
//
// Tests and messages use the numbers. "The store" is one that keeps the contract of package [kv].
//
//   - V1, first Get: a linearizable read begins after the call, and Get returns the value that it finds. If the key is absent, the
//     Get waits until the key exists. With [WithDefault], an absent key reads as the default. With [WithLastKnown], a store that
//     does not answer reads as what was last known of it.
//   - V2, later Gets: each waits until there is something newer than what the watcher returned last.
//   - V3, newest wins: a slow reader skips to the newest value. The memory that a watcher holds does not grow with the number
//     of updates.
//   - V4, every update: with [EveryUpdate], the first Get returns the value as V1 says, and later Gets return each update once
//     and in order. Memory stays bounded: a watcher that is far behind reads the store's own history. Where that history is
//     gone, the watcher gets one [*GapError] and continues from the newest value.
//   - V5, never backwards: the revision behind successive Gets rises strictly, through reconnections and changes of leader. The
//     one exception is a store whose history was replaced. The key is then read again, and Get returns what the read finds,
//     unless that is the very entry that Get returned last.
//   - V6, a deletion is returned once: as [ErrDeleted] or as the default, also when it happened during an outage or was
//     compacted away. A key that is deleted and created again while nothing watched it is its new value.
//   - V7, a bad value is an error of its own update: Get returns a [*DecodeError] for the update that does not decode, and the
//     watcher continues. A decoder that panics counts as one that fails. A value that is larger than the store's client accepts is
//     a bad value too, if the store is a [kv.Stater]. Otherwise Get returns [kv.ErrTooLarge] while the value stays.
//   - V8, cancelling a Get loses nothing: the next Get returns what the cancelled one would have returned.
//   - V9, Close: it may be called twice, and concurrently with a Get, which returns [ErrClosed]. Nothing is left behind.
//   - V10, one reader per watcher: a second concurrent Get fails with [ErrConcurrentGet]. The first is not disturbed.
//   - V11, outages are survived: Get does not return the error of an unavailable store. It waits while the store is tried again
//     with growing, jittered delays. A lost permission and a closed store are errors of Get, after a read has confirmed them.
//     [Value.Status], a logger and a limit to staleness show and bound what happens meanwhile.
//   - V12, one watch per Value: however many watchers a Value has, it holds one watch of the store. It holds no watch and no
//     goroutine when it has no watcher. Each update is read and decoded once.
//   - V13, unchanged is not news: reading the key again does not return the same entry again.
//   - V14, Latest: [Value.Latest] is the newest good value at hand, for the price of an atomic load. It is kept current while a
//     watcher is open.
//   - V15, read your own write: [AtLeast] asks Get for the value at a given revision or later. Such a Get makes a read, so that
//     a history that was replaced cannot answer it.
//   - V16, the watch is audited: each put raises the version of its key by one, so the next event proves that one was lost. The
//     loss is logged, counted in [Status] and repaired by reading the key again.
//
// Three things are not promised: that a watcher of the newest value sees each value; that two Values change at the same
// time; and, without [WithMaxStaleness], that a value is recent. A program that is cut off from its store keeps the last value
// that it knew.
//
// # What it costs
//
// A Value with an open watcher holds one watch and two goroutines, three with [WithLastKnown]. A watcher that waits costs little more
// than its own goroutine. When a watch is silent for a minute ([WithCheck]), the key is read once. The read finds a watch that died
// unnoticed, a permission that was taken away, and a store that was replaced. A read without an answer for ten seconds is reported in
// [Status] and in the log, and a second read begins. A store that sends its reads again itself, as kv/etcd does, is also asked for a few
// bytes: while it answers those, the read is only slow, and nothing is reported. The watch continues. One read serves all first Gets that
// wait for it. A watcher for EveryUpdate that has fallen behind the backlog has its own watch while it reads the store's history.
//
// # More than one key
//
// [NewMap] follows a range of keys. It is a Value whose value is a [View] of the range. It also promises M1 to M8: see [Map].
// [NewBundle] makes one value of all keys of a range. Both have one watch, like the Value of a key.
//
// The check of a silent watch reads the keys and revisions of the whole range, without the values if the store can leave them out. If
// there are more than 100 keys and the store is a [kv.Summarizer], as all stores of this module are, it reads the number of keys and the
// newest ones, which takes a few bytes. These prove that nothing has changed since the watch was last heard of. They do not prove that the
// watch lost no event before that. So if the watch has brought something, such a check reads all keys and revisions again, but at most
// once in ten minutes.
//
// # A start without the store
//
// With [WithLastKnown] a Value saves what it knows, and begins with that when its store does not answer, or when the newest value is bad at
// a restart. Package [github.com/watchkv/watchkv/value/lastknown] keeps it in files.
//
// # To change a value
//
// [Update], [Create] and [Delete] change a key on the condition that it has not changed since it was read. Their error matches
// [ErrOutcomeUnknown] if it cannot be known whether a write has happened.
//
// # Decoders
//
// [JSON], [StrictJSON], [Text], [String] and [Bytes] are decoders; so is any func([]byte) (T, error). For a protocol
// buffer message pb.Limits:
//
//	func(b []byte) (*pb.Limits, error) {
//		l := new(pb.Limits)
//		return l, proto.Unmarshal(b, l)
//	}
//
// A decoded value is shared by all watchers: treat what it points to as read-only.
//
// # In a synctest bubble
//
// A Value works in a bubble of package [testing/synctest] if its store does. While it is watched it has timers, so a Get
// that waits for ever is not reported as a deadlock: the bubble's clock runs on, as fast as it can, until go test's own
// timeout. Give such a Get a context with a timeout. If the store does not fail in the test, [WithCheck] of zero is enough instead.
package value
