package program

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// Store is what programs run on.
type Store interface {
	kv.Store
	kv.Writer
	kv.Committer

	// Compact forgets the history before a revision. Its error matches [kv.ErrCompacted] or [ErrFuture].
	Compact(ctx context.Context, at kv.Revision) error
	// RequestProgress has watches be sent bookmarks, unless the store sends some anyway.
	RequestProgress(ctx context.Context) error
}

// ErrFuture is why a store does not compact at a revision that it has not reached.
var ErrFuture = errors.New("the revision is in the future")

// Begin makes store ready for a program, and returns the revision it begins at. The store must hold no keys. History
// begins there, on a store that has seen many programs as on one that has seen none, and no program can look further back.
func Begin(ctx context.Context, store Store) (start kv.Revision, err error) {
	const (
		key       = "begin"
		farEnough = 20 // no program gets back to revision zero from here by counting
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
