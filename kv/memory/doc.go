// Package memory is a [kv.Store] in memory that gives etcd's answers: the same revisions, versions, errors and order of
// events for the same operations. It is for tests, and for programs that need no more.
//
//	store := memory.New()
//	rev, err := store.Put(ctx, "/app/limits", []byte(`{"rps":10}`))
//
// A store starts at revision 1, so the first write makes revision 2. It keeps all history until it is compacted, by
// [Store.Compact] or by the bound of [WithHistory]. Watches may begin anywhere in that history, at the present, or in the
// future. [Store.Restore] sets the store back to an older state, as an operator does who restores a backup.
// [Store.RequestProgress] makes watches yield bookmarks.
//
// # What it costs
//
// A watch is a small record in an index and no goroutine. It runs in the goroutine that iterates over it, and reads the
// changes that it has not delivered from the store's history. So a slow or blocked consumer delays no writer and no other
// watch, and the store keeps nothing extra for it. A write wakes the watches whose range it touches, and costs nothing for the
// others, however many there are.
//
// # In a synctest bubble
//
// A store starts no goroutine and no timer. A watch waits in a select on two channels: its own, and that of its context. So a
// waiting watch is durably blocked in the sense of package [testing/synctest], if the watch and its context were made in the
// bubble. Make the store in the same bubble, and write to it only from there: a goroutine outside must not wake a watch
// inside.
package memory
