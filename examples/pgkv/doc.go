// Package pgkv is a [kv.Store] over PostgreSQL, with the driver pgx. It is an example of a store outside the module that uses only the module's public
// packages. It can also be used as it is. The README says when, and what it costs.
//
//	pool, err := pgxpool.New(ctx, "postgres://app@db/app?target_session_attrs=read-write")
//	err = pgkv.Migrate(ctx, pool, pgkv.Config{})
//	store, err := pgkv.Open(ctx, pool, pgkv.Config{})
//	limits := value.New(store, "/app/limits", value.JSON[Limits])
//
// # How the contract is kept
//
//   - A write is one call of a procedure. It locks the one row of the table state, checks the conditions, writes, notifies and commits.
//     So revisions are in the order of the commits, and a client that vanishes holds no lock (schema/1.sql, write.go).
//   - A read is one statement, which has one snapshot of the database. A standby answers no rows (get.go).
//   - A watch reads the table changes from its revision on (watch.go). From then on all watches of a Store share one connection, which
//     listens, polls, and keeps the newest changes in a window (tail.go, window.go). A watch that falls behind the window reads from the
//     table again.
//   - The statement that reads the changes also reads what was compacted. A compaction is announced before anything is deleted
//     (compact.go).
//   - Each change has a random mark. Every statement compares the newest mark that the Store knows with the mark that the database has
//     at that revision. That shows whether the database was restored (history.go).
//
// # What is claimed
//
// All guarantees that the conformance suite checks, with [kv.Committer], [kv.Stater], [kv.Summarizer], [kv.Acknowledger] and
// [kv.ProgressRequester]. They hold on the primary, and for writes that are made through this package. A primary that was replaced but
// still runs cannot know that: the cluster's manager has to fence it.
//
// When the Store notices a restore, all its watches end with [kv.ErrReset], even watches that have delivered nothing of the lost history. If a revision
// does not come from this Store, the Store cannot know to which history it belongs.
package pgkv
