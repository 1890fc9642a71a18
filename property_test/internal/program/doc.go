// Package program holds programs of steps that run on any store: random ones, to find out where two stores can be told
// apart, and written ones, to say once and for all what the right answers are.
//
// A [Program] is data. It prints itself as Go code, so what a failed test prints can be pasted into another test:
//
//	program.Program{
//		program.Put("a", "x"),
//		program.Delete("a"),
//		program.Compact(program.LastOf("a", 0)),
//		program.Watch(kv.All(), program.LastOf("a", -1)),
//	}
//
// It names revisions by what happened in it, never by number: it begins wherever its store is, and a program that has lost
// some of its steps still means something. [Run] runs it, and gives one answer for each step, as text. [Difference] compares
// the answers of two stores. [Any] makes random programs, and [Model] is a store that is right because it can be seen to be.
package program
