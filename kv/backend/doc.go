// Package backend has what stores over another storage, such as a database, have in common: the loop of a watch, the errors, and the
// record of which revision belongs to which history. It is for authors of a [kv.Store]. Programs do not need it.
//
// A [Watch] is the loop. The author writes how a part of the history is read, and how to wait for more. The loop gives a
// sequence that keeps W2, W3, W5, W7, W9 and W10, and that ends as W12 asks. W1, W4 and W8 follow if the author's part is correct.
//
// [Errors] classifies errors: first the context's, then those of package kv, then the backend's own.
//
// [Histories] is for W13. It detects that the storage was restored from a backup, and remembers to which history each revision
// belongs that the store has returned.
//
// Package [github.com/watchkv/watchkv/kv/backend/backendtest] has a network for the tests of such a store, which a test can cut.
// The page docs/writing-a-backend.md in the repository shows how a store is written with these packages.
package backend
