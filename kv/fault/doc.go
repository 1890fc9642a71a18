// Package fault makes a store fail on request.
//
// [New] wraps any [kv.Store]. Until it is told otherwise the wrapper is transparent. Told to, it does what
// clusters and networks do on a bad day, at a moment that the test chooses:
//
//	store := fault.New(memory.New())
//	...
//	store.Cut()  // the network is gone: reads hang, watches go silent
//	...
//	store.Heal() // it is back: what hung goes on, watches deliver what they missed
//
// Everything is deterministic, and nothing polls or sleeps: calls that are kept waiting wait on channels and
// timers, end promptly with their context, and so work in a [testing/synctest] bubble. It is the same over
// the in-memory store and over a real cluster.
//
// # What a fault is on a real cluster
//
//   - [Store.Cut]: the client is partitioned from its members, or all members are down. etcd's client does
//     not fail then: reads and new watches block until their context ends, running watches are silent, and
//     once it is connected again it resumes them after what it last received. If history has been
//     compacted past that point they end with [kv.ErrCompacted]. One thing differs: etcd's client buffers
//     what it receives for a consumer that is busy. A stream of a Store has no buffer, which would need a goroutine
//     for each stream and memory without bound, so it has received what it has delivered, and no more.
//     Cut(Writes, Answered) is the half-open network on which requests arrive and acknowledgements do not.
//   - [Store.Freeze]: the program was suspended, or paused for long by its machine; its connections
//     survived.
//   - [Store.Fail] with [kv.ErrUnavailable]: there is no leader, or too many requests. Together with a Cut it
//     is a connection that is refused at once, rather than one that hangs. With [kv.ErrPermission]: the
//     token expired, or the role was taken away. With Puts, [Answered]: the write happened, its
//     acknowledgement was lost. With [Watches] and a negative count: a member that accepts watches and ends
//     each at once, which is where a reader must back off.
//   - [Store.EndStreams]: a member that shuts down, loses its leader, or compacted what the watch had yet to
//     read. With [kv.ErrReset]: the cluster behind the address is another one now.
//   - [Store.Silence]: a watch that hangs for ever, unnoticed: a proxy that forgot it, a stream that died
//     without a packet. Reads work, and nothing says that the watch is dead.
//   - [Store.Delay]: a slow disk, a loaded member, a distant region.
//   - [Store.Hold]: nothing breaks; one call is stopped at a chosen moment, so that something else happens
//     in between. Hold(Watches) stops a reader that has read and not yet begun to watch.
//   - [Store.Drop], [Store.Duplicate]: a defect of the store. etcd has had releases that lost events.
//
// # Which calls
//
// Every fault takes matches, all of which a call must meet: [Ops], as in Gets|Watches; [On] a range of keys;
// [Answered], for the moment after the store has answered instead of that before the call reaches it. With
// none, every call is meant. A Stat is one of the Gets, and a WatchAcknowledged one of the Watches.
//
// A call meets the delays that match it first, then one hold, then one failure, and last the cuts and
// freezes; within each, in the order in which they were made. On the way back its answer does so again.
//
// Faults that last are a [Rule], which can be removed. [Store.Clear] removes all of them, and printing
// the Store lists those in force.
//
// # Errors
//
// A call that fails on request returns the given error in a [*kv.OpError] of the store kv/fault, so errors.Is
// finds what was given; a given [*kv.OpError] comes back as it is. A call whose context ends while a
// fault keeps it waiting returns the context's error in the same way. All other errors are the wrapped
// store's own.
//
// # Waiting for something
//
// [Store.Wait] waits until what the Store has counted satisfies a condition: until three reads have been
// made, a watch is running, or a call hangs in a cut. [Hold.Wait] waits until a call is held.
package fault
