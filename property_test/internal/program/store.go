package program

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// Store is a store that programs run on.
type Store interface {
	kv.Store
	kv.Writer
	kv.Committer

	// Compact forgets the history before a revision. Its error matches [kv.ErrCompacted] or [ErrFuture].
	Compact(ctx context.Context, at kv.Revision) error
	// RequestProgress makes the store send bookmarks to its watches, unless it sends them without a request.
	RequestProgress(ctx context.Context) error
}

// ErrFuture is the error of a compaction at a revision that the store has not reached.
var ErrFuture = errors.New("the revision is in the future")

// Begin prepares store for a program, and returns the revision at which the program begins. The store must have no keys. History begins
// at that revision, whether the store has run other programs before or not. No program can read an older revision.
func Begin(ctx context.Context, store Store) (start kv.Revision, err error) {
	const (
		key       = "begin"
		farEnough = 20 // no program counts back from here to revision zero
	)
	for start < farEnough {
		if _, err := store.Put(ctx, key, nil); err != nil {
			return 0, err
		}
		deleted, err := store.Delete(ctx, key)
		if err != nil {
			return 0, err
		}
		if deleted <= start {
			return 0, fmt.Errorf("the deletion of a key after revision %d made revision %d", start, deleted)
		}
		start = deleted
	}
	return start, store.Compact(ctx, start)
}
