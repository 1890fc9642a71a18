// Package fault makes a store fail on request.
//
// [New] wraps any [kv.Store]. Without faults the wrapper is transparent. On request it behaves as failing clusters and networks do,
// at a moment that the test chooses:
//
//	store := fault.New(memory.New())
//	...
//	store.Cut()  // the network is gone: reads hang, watches go silent
//	...
//	store.Heal() // the network is back: calls continue, watches deliver what they missed
//
// Everything is deterministic. Nothing polls or sleeps: blocked calls wait on channels and timers, and end promptly with
// their context. So faults work in a [testing/synctest] bubble. They are the same over the in-memory store and over a real
// cluster.
//
// # What a fault is on a real cluster
//
//   - [Store.Cut]: the client is partitioned from its members, or all members are down. etcd's client does not fail then.
//     Reads and new watches block until their context ends, and running watches are silent. When the client is connected
//     again, it resumes each watch after the last event that it received. If history was compacted past that event, the
//     watch ends with [kv.ErrCompacted]. One thing differs: etcd's client buffers events for a busy consumer. A stream of a
//     Store has no buffer, because a buffer needs a goroutine for each stream and memory without bound. So a stream has
//     received what it has delivered, and no more. Cut(Writes, Answered) is a half-open network: requests arrive, and
//     acknowledgements do not.
//   - [Store.Freeze]: the program was suspended, or its machine paused it for long. Its connections survived.
//   - [Store.Fail] with [kv.ErrUnavailable]: there is no leader, or there are too many requests. Together with a Cut it is a
//     connection that is refused at once and does not hang. With [kv.ErrPermission]: the token expired, or the role was
//     taken away. With Puts, [Answered]: the write happened and its acknowledgement was lost. With [Watches] and a negative
//     count: a member accepts watches and ends each at once, so a reader must back off.
//   - [Store.EndStreams]: a member shuts down, loses its leader, or compacted what the watch had yet to read. With
//     [kv.ErrReset]: another cluster answers at the address now.
//   - [Store.Silence]: a watch hangs for ever and no error reports it. A proxy forgot it, or its stream died without a
//     packet. Reads work.
//   - [Store.Delay]: a slow disk, a loaded member, a distant region.
//   - [Store.Hold]: nothing breaks. One call is stopped at a chosen moment, so that something else can happen in between.
//     Hold(Watches) stops a reader that has read and has not yet begun to watch.
//   - [Store.Drop], [Store.Duplicate]: a defect of the store. Some releases of etcd lost events.
//
// # Which calls
//
// Every fault takes matches. A call must meet all of them: [Ops], as in Gets|Watches; [On] a range of keys; [Answered], for
// the moment after the store has answered and not the moment before the call reaches it. A fault without matches applies to
// every call. A Stat counts as one of the Gets, and a WatchAcknowledged as one of the Watches.
//
// A call first waits for all delays that match it, then for one hold. Then it meets one failure, and last the cuts and
// freezes. Faults of one kind apply in the order in which they were made. On the way back, the answer meets faults in the
// same order.
//
// A fault that lasts is a [Rule], which can be removed. [Store.Clear] removes all rules. Printing the Store lists those in
// force.
//
// # Errors
//
// A call that fails on request returns the given error in a [*kv.OpError] of the store kv/fault, so errors.Is finds the
// given error. A given [*kv.OpError] is returned unchanged. If a context ends while a fault blocks its call, the call
// returns the context's error in the same way. All other errors are the wrapped store's own.
//
// # Waiting for something
//
// [Store.Wait] waits until the counts of the Store satisfy a condition: until three reads have been made, a watch is
// running, or a call hangs in a cut. [Hold.Wait] waits until a call is held.
package fault
