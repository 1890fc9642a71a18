// Package history records what concurrent clients do to a store and what they are returned, and judges it.
//
// A [Recorder] notes each operation with the times of its call and its return, also those whose outcome is unknown: a
// write that timed out may have happened, or may yet. An [events.Follower] notes what a watch yields. When all is over and the
// store is well, [Read] takes its whole history once more, the [Log]. A [Run] is all of that, and [Run.Judge] says
// whether any sequence of operations, one after the other, could have given those answers:
//
//   - each write that was acknowledged is in the log, once, and nothing is there that no client wrote;
//   - revisions agree with real time: what began later sees no less;
//   - each read is what the log says of its revision;
//   - the operations on each key are linearizable, as porcupine finds, which knows nothing of the above;
//   - each watch yielded what the log says, in the sense of W2 to W10.
//
// Each way to be wrong has an error of its own.
package history
