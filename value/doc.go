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
// The numbers are used in tests and messages throughout. "The store" is one that keeps the contract of
// package [kv].
//
//   - V1, first Get: it returns the value as a linearizable read begun after the call finds it. If the key
//     does not exist it waits until it does; with [WithDefault] an absent key reads as the default.
//   - V2, later Gets: each waits until there is something newer than what the watcher returned last.
//   - V3, newest wins: a reader that is slow skips to the newest value. What a watcher holds does not grow with
//     the number of updates.
//   - V4, every update: with [EveryUpdate], the value as the first Get finds it, and from then on each update once, in
//     order. Memory stays bounded: a watcher far behind reads the store's own history, and where that is gone gets one
//     [*GapError] and goes on from the newest.
//   - V5, never backwards: the revision behind successive Gets rises strictly, through reconnections and
//     changes of leader. The one exception is a store whose history was replaced: it is read afresh, and what it
//     holds is news unless it is the very entry returned last.
//   - V6, deletion is told, once, as [ErrDeleted] or as the default, also when it happened during an outage or
//     was compacted away. A key deleted and made again while nobody looked is its new value.
//   - V7, bad values are told, as a [*DecodeError], for the update that is bad. The watcher goes on. A decoder that
//     panics is one that fails. A value that is larger than the store's client accepts is a bad one as well, if the store can
//     read keys without their values ([kv.Stater]), as etcd can; otherwise every Get returns [kv.ErrTooLarge] until it is gone. An
//     EveryUpdate watcher that has fallen behind, and cannot read past such an update in history, gets a [*GapError].
//   - V8, cancelling a Get loses nothing: the next returns what the cancelled one would have.
//   - V9, Close may be called twice, and beside a Get, which returns [ErrClosed].
//   - V10, one reader a watcher: a second Get at the same time fails with [ErrConcurrentGet].
//   - V11, outages are ridden out: an unavailable store is not an error of Get, which waits while the store is
//     tried again with growing, jittered delays. A permission that is gone is one, when a read has confirmed it, and so is
//     a closed store. [Value.Status], a logger and a limit to staleness show and bound what goes on meanwhile.
//   - V12, one watch of the store per Value, however many watchers it has, and no watch, and no goroutine, when
//     it has none. Each update is read and decoded once.
//   - V13, what is unchanged is not news: reading afresh does not return the same entry again.
//   - V14, [Value.Latest] is the newest good value at hand, for the price of an atomic load.
//   - V15, read your own write: [AtLeast] asks Get for the value as of a revision or later. Such a Get makes a read, so that
//     no history that was replaced answers it.
//   - V16, the watch is audited: a key's version rises by one a put, so a lost event is proven by the next one. It is
//     logged, counted in [Status] and healed by reading afresh.
//
// What is not promised: that a watcher of the newest sees each value, that two Values change at the same time, and,
// without [WithMaxStaleness], that what is held is recent: a program that is cut off from its store keeps the last
// it knew.
//
// # What it costs
//
// A Value that is watched holds one watch and two goroutines; a watcher that waits, little more than its goroutine.
// When a watch is silent for a minute ([WithCheck]) the key is read once, which finds a watch that died unnoticed, a
// permission that was taken away, or a store that was replaced. A read that is not answered within ten seconds is
// reported in [Status] and the log, and a second one is begun; the watch goes on. One read serves all the first Gets that wait for it.
// A watcher for EveryUpdate that fell behind the backlog has, while it reads the store's history, a watch of its own.
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
// timeout. Give such a Get a context with a timeout. Where the store is not made to fail, [WithCheck] of zero will do too.
package value
