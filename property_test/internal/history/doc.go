// Package history records the calls of concurrent clients to a store and the answers, and judges them.
//
// A [Recorder] notes each operation with the times of its call and its return. That includes operations whose outcome is unknown: a write
// that timed out may have happened, or may still happen. An [events.Follower] notes what a watch yields. After the test, when the store
// works, [Read] reads its whole history, the [Log]. A [Run] has all of that. [Run.Judge] says whether some sequence of operations, one
// after the other, could have given those answers:
//
//   - each acknowledged write is in the log once, and the log has nothing that no client wrote;
//   - revisions agree with real time: an operation that began later sees no less;
//   - each read returned what the log has at its revision;
//   - the operations on each key are linearizable: porcupine checks this independently of the other rules;
//   - each watch yielded the events of the log, as W2 to W10 promise.
//
// Each kind of mistake has its own error.
package history
