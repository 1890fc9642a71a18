// Package valuetest is the harness for tests of Values. It has two parts:
//
//   - A [Harness] stands for a test and the faults between the test's Values and their store. It waits for what the
//     faults count and hold.
//   - A [Watcher] is a watcher of a Value whose answers are checked. [Watcher.Begin] begins a Get, which runs
//     concurrently with the test as a [Call]; the other methods make one Get and check what it returns.
//
// The tests of package value and the suite of package conformance stand on it. It does not import package testing, because the
// suite does not.
package valuetest
