// Package memory is a [kv.Store] in memory that answers as etcd does: the same revisions, versions, errors and
// order of events for the same operations. It is for tests, and for programs that need no more.
//
//	store := memory.New()
//	rev, err := store.Put(ctx, "/app/limits", []byte(`{"rps":10}`))
//
// A store starts at revision 1, so the first write makes revision 2. It keeps all history until it is
// compacted, with [Store.Compact] or by the bound given to [WithHistory]. Watches may begin anywhere in that
// history, at the present, or in the future. [Store.Restore] sets it back to an older state, as an operator
// restoring a backup would, and [Store.RequestProgress] makes watches say how far they are.
//
// # What it costs
//
// A watch is a small record in an index and no goroutine: it runs in the goroutine that iterates over it, and
// reads what it has not seen from the store's history. So a consumer that is slow, or stuck, holds up nobody, and
// nothing is kept for it that the store would not keep anyway. A write wakes the watches whose range it
// touches, and costs nothing for the others, however many there are.
//
// # In a synctest bubble
//
// A store starts no goroutine and no timer. Where it waits, it waits in a select on two channels: one made by the
// watch that waits, and that of its context. A watch that waits is therefore durably blocked in the sense of
// package [testing/synctest], if it and its context were begun in the bubble. Make the store in the bubble too:
// a goroutine outside must not wake a watch inside, so everything that writes to the store has to be in the same
// bubble as everything that watches it.
package memory
