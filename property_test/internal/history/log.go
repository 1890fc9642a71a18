package history

import (
	"context"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
)

// A Log is the history of a range, as the store returns it after the test: the events in order, after a revision at which the range was
// empty and up to another one.
type Log struct {
	After  kv.Revision
	Until  kv.Revision
	Range  kv.Range
	Events events.List
}

// Read reads from store the history of a range, after a revision at which it was empty and up to one at which it changed. No history
// after the first revision may have been compacted. If the store is unavailable, Read tries again.
func Read(ctx context.Context, store kv.Store, keys kv.Range, after, until kv.Revision) (Log, error) {
	list, err := events.Read(ctx, store, keys, after, until)
	if err != nil {
		return Log{}, err
	}
	return Log{After: after, Until: until, Range: keys, Events: list}, nil
}

// keyAt returns the entry of a key at a revision, given the events of the key. It returns the zero Entry if the key did not exist.
func keyAt(list events.List, rev kv.Revision) kv.Entry { return list.UpTo(rev).Last() }
