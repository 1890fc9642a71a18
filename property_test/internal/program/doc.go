// Package program holds programs of steps that run on any store: random ones, to find out where two stores can be returned
// apart, and written ones, to say once and for all what the right answers are.
//
// A [Program] is data. It names revisions by what happened in it, never by number: it begins wherever its store is, and a
// program that has lost some of its steps still means something. [Run] runs it, and gives one answer for each step, as
// text in which revisions are distances from where the program began. [Difference] compares the answers of two stores. [Any]
// makes random programs, and [Model] is a store that is right because it can be seen to be.
//
// What Difference says of two stores holds a [Transcript], the program with the right answers, as Go code. Pasted into a test,
// it is the regression test:
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
// How revisions are packed into batches, and when bookmarks come, is each store's own affair. It is looked at as it comes: no
// revision may be in two batches, none may come at or before a revision that the watch has called complete.
//
// A compaction that overtakes a watch which is behind may or may not end it. That depends on time, on etcd as well: on what
// is on its way to the reader already. A program therefore lets its watches catch up before it compacts.
package program
