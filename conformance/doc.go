// Package conformance tests whether a store keeps the contract of package kv. Package value and other
// programs rely on that contract.
//
// The author of a store writes one test:
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, conformance.Backend{
//			Open:   func(t conformance.T) conformance.Store { return open(t) },
//			Commit: true,
//			// ... what else it can do
//		})
//	}
//
// Several checks test each guarantee of the contract: S1 to S6, W1 to W13, those of writes and errors, and those of a
// kv.Stater, a kv.Summarizer and a kv.Acknowledger if the store is one. Each check is a subtest: go test -run
// 'Conformance/^W5$' runs those of W5. A check that fails reports what was promised, what it did, what it saw, and the command
// that runs it again alone. One run reports every guarantee that is broken.
//
// # Values on top
//
// The checks of V1 to V16 put a [github.com/watchkv/watchkv/value.Value] on top of the store, and those of M1 to M8 a
// [github.com/watchkv/watchkv/value.Map] or a bundle. They test what a program gets while the store is cut off, its watches fail
// and its history is compacted. Package [github.com/watchkv/watchkv/kv/fault] stands between the Value and the store, and stops or
// breaks calls at the exact moment that a check needs. If the Backend has a Cut, the check uses that. If only these checks fail, the store passes every other
// check and still misleads programs: look at the first of these that fails.
//
// # What is claimed
//
// [Backend] says what the store can do. A check that needs more is skipped, and the summary at the end of the log lists it (go
// test -v shows it). A guarantee is "not claimed" if all its checks were skipped, and "held in part" if only some were run. If
// a backend cannot give a guarantee at all, list it in Backend.NotClaimed, with the reason.
//
// Some checks have nothing to check: those about commits if the store has none, and those of kv.Stater, kv.Summarizer,
// kv.Acknowledger and kv.ProgressRequester if the store is none of them. The summary lists them as "nothing to check". They count neither way. A
// wrapper that Open returns has to pass these methods on.
//
// docs/writing-a-backend.md in the repository takes a store from an empty file to a green run. It gives the reason for each
// guarantee, and the mistakes that break it.
//
// # Without package testing
//
// [Check] runs the same checks in any program and returns an error that holds every [Broken] guarantee.
//
// # What the checks expect of revisions
//
// Revisions must rise, and only a write may make one. So all checks can share one server, one after the other, and a store may
// skip numbers. On one backend the checks do not run concurrently. [Run] can divide them among several equal backends that share
// nothing, and two runs may be concurrent on such backends.
//
// Two checks of W11 measure the heap of the process. They wait until no other check runs in the process, and others wait for
// them. So the test should not be parallel with tests that use much memory.
package conformance
