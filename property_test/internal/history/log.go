package history

import (
	"context"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
)

// A Log is what happened in a range, in order, as the store tells it when all is over: its events after a revision at
// which nothing was there, and up to another.
type Log struct {
	After  kv.Revision
	Until  kv.Revision
	Range  kv.Range
	Events events.List
}

// Read takes from store what happened in a range after a revision at which it was empty, up to one at which it
// changed. No history since then may have been compacted. A store that is unavailable is asked again.
func Read(ctx context.Context, store kv.Store, keys kv.Range, after, until kv.Revision) (Log, error) {
	list, err := events.Read(ctx, store, keys, after, until)
	if err != nil {
		return Log{}, err
	}
	return Log{After: after, Until: until, Range: keys, Events: list}, nil
}

// keyAt returns what a key was at a revision, given its events: the zero Entry where it did not exist.
func keyAt(list events.List, rev kv.Revision) kv.Entry { return list.UpTo(rev).Last() }
