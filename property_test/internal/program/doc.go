// Package program has programs of steps that run on any store. Random programs find differences between two stores. Written programs fix
// the right answers for ever.
//
// A [Program] is data. It names a revision by what happened at it, not by its number. So it can begin at any revision, and it still has a
// meaning when some steps are left out. [Run] runs a program and returns one answer for each step. In the text of an answer, revisions
// are distances from the revision at which the program began. [Difference] compares the answers of two stores. [Any] makes random
// programs. [Model] is a store so simple that a reader can see that it is right.
//
// The text of Difference has a [Transcript], which is the program with the right answers, as Go code. Pasted into a test, it is the
// regression test:
//
//	program.Transcript{
//		program.Ask(program.Put("a", "x"), "+1"),
//		program.Ask(program.Delete("a"), "+2"),
//		program.Ask(program.Compact(program.LastOf("a", 0)), "done"),
//		program.Ask(program.Watch(kv.All(), program.LastOf("a", -1)),
//			`delete "a" (+2)`,
//			`put "\x00" = "mark" (created +3, modified +3, version 1)`,
//			"end: canceled",
//		),
//	}
//
// # What is not compared
//
// Each store may choose how it packs revisions into batches, and when it sends bookmarks. These are checked by themselves: no revision
// may be in two batches, and no event may come at or before a revision up to which the watch is complete.
//
// A compaction may overtake a watch that is behind, and then may or may not end it. On every store, etcd too, that depends on the events
// that are already on their way. So a program lets its watches catch up before it compacts.
package program
