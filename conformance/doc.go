// Package conformance tests whether a store keeps the contract of package kv, so that programs built on that
// contract, and package value first of all, can rely on it.
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
// Every guarantee of the contract (S1 to S6, W1 to W13, those of writes and errors, and those of a kv.Stater and of a
// kv.Acknowledger where the store is one) is held by several checks, each a subtest: go test -run 'Conformance/^W5$' runs
// those of W5. A check that fails says what was promised, what it did, what it saw, and the command that runs it again
// alone. One run reports every guarantee that is broken.
//
// # Values on top
//
// A store is not an end in itself. The checks of V1 and those after it put a [github.com/watchkv/watchkv/value.Value]
// on top of the store and look at what a program is told: while the store is cut off, its watches fail and its
// history is forgotten. For that, package [github.com/watchkv/watchkv/kv/fault] stands between the Value and the
// store, and stops or breaks what passes at the exact moment that a check is about; where a backend can be cut off
// by means of its own, those are used. Where only these checks fail, the store keeps the letter of the contract
// as far as the other checks know, and programs are misled all the same: look at the first of them that fails.
//
// # What is claimed
//
// [Backend] says what the store can do. A check that needs what it cannot is skipped and named in the summary
// that ends the log (go test -v shows it): a guarantee all of whose checks were skipped is "not claimed", and one
// of which only some were run "held in part". Where a backend cannot give a guarantee at all,
// Backend.NotClaimed says so and why. Checks about commits have nothing to look at in a store that has none, nor have
// those of kv.Stater, kv.Acknowledger and kv.ProgressRequester in a store that is none of them: they are listed as "nothing
// to check", and count neither way. A wrapper that Open returns has to pass on what the suite is to look at.
//
// docs/writing-a-backend.md in the repository takes a store from an empty file to a green run, with the reason for each
// guarantee and the mistakes that each is there to find.
//
// # Without package testing
//
// [Check] runs the same checks in any program and returns an error that holds every [Broken] guarantee.
//
// # What the checks expect of revisions
//
// Only that they rise, and that nothing but a write makes one. So all checks can share one server, one after the
// other, and a store may skip numbers.
// The checks of one run do not run at the same time; two runs may, on stores that share nothing.
package conformance
