// Package mutants tests the suite. Each mutant is a store, a Value or a Map that breaks one guarantee, as real ones have done. A check of
// that guarantee must find it. A mutant that passes all checks of the guarantee is a bug of the suite.
//
//   - list_test.go has the list of all mutants. Its parts are in the files that are named after what the mutants break: read_test.go,
//     watch_test.go, maps_test.go and so on. Those of database_*_test.go are the errors that stores over a database make, and those of
//     client_*_test.go the errors that clients make: replicas, caches, pages, pools, and calls that share a connection.
//   - runner_test.go runs the suite against each mutant, and against a sound store.
//   - broken_store_test.go, broken_watch_test.go and broken_map*_test.go have what mutants are made of.
//   - backend_test.go and suite_test.go test what else the suite promises to its users.
package mutants
