// Package mutants tests the suite: each mutant is a store, or a Value, that breaks one guarantee as real ones have been seen to
// do, and the checks of that guarantee must find it. A mutant that passes is a bug of the suite.
package mutants
