// Package suite runs checks against a backend and reports what they find: it opens the stores, records each step, keeps a ledger of
// the acknowledged writes, and knows from that what a store must answer. It knows no check. Those of stores are in package stores,
// those of Values on top of a store in package values, and package conformance puts both together.
package suite
