// Package judge judges what the watchers of a value returned, against what was written.
//
// Three things meet here, each of which can be used with any store, in a [testing/synctest] bubble or concurrently with a real
// cluster:
//
//   - [Writer] writes one key of a store, past all faults, and knows afterwards what the key has been, also
//     where the outcome of a write was unknown at first, history was compacted, or the store restored.
//   - [Watchers] is any number of watchers of that key, of every [Mode], each reading at a pace of its own and
//     recording what it is returned.
//   - [Check] holds one watcher's [Record] against the [History] of the key, and says which guarantee of
//     package [github.com/watchkv/watchkv/value] was broken, if one was.
//
// They are used like this:
//
//	writer, err := judge.NewWriter(ctx, store, key)
//	watchers := judge.NewWatchers(fault.New(store), key, judge.Config{Seed: seed})
//	watchers.OpenAll()
//	...                      // write with writer, break things
//	err = watchers.Settle(ctx, writer) // after all faults are healed
//	watchers.Close()
//	err = watchers.Judge(writer)
//
// A [Program] is a random course of writes and faults for that, and a [Harness] what it is played on.
//
// For a range of keys there are a [RangeWriter] and [RangeWatchers], of a Map and a bundle of the range, which judge M2 to M8. A Harness
// plays a program on either.
package judge
