// Package judge judges what the watchers of a value returned, against what was written.
//
// The package has three parts. Each works with any store, in a [testing/synctest] bubble or with a real cluster:
//
//   - [Writer] writes one key of a store and avoids all faults. It knows afterwards the history of the key. That includes writes whose
//     outcome was unknown at first, compacted history and restored stores.
//   - [Watchers] is any number of watchers of that key, in every [Mode]. Each is read at a different pace. What it returns is recorded.
//   - [Check] compares one watcher's [Record] with the [History] of the key. It returns the guarantee of package
//     [github.com/watchkv/watchkv/value] that was broken, or nil.
//
// A test uses them like this:
//
//	writer, err := judge.NewWriter(ctx, store, key)
//	watchers := judge.NewWatchers(fault.New(store), key, judge.Config{Seed: seed})
//	watchers.OpenAll()
//	...                      // write with writer, make faults
//	err = watchers.Settle(ctx, writer) // after all faults are healed
//	watchers.Close()
//	err = watchers.Judge(writer)
//
// A [Program] is a random sequence of writes and faults. A [Harness] plays it.
//
// For a range of keys there are a [RangeWriter] and [RangeWatchers]. The latter watch a Map and a bundle of the range, and check M2 to M8. A
// Harness plays a program on a key or on a range.
package judge
