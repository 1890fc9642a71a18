package history

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/watchkv/watchkv/kv"
)

// A Log is what happened in a range, in order, as the store tells it when all is over: its events after a revision at
// which nothing was there, and up to another.
type Log struct {
	After  kv.Revision
	Until  kv.Revision
	Range  kv.Range
	Events []kv.Event
}

// Read takes from store what happened in a range after a revision at which it was empty, up to one at which it
// changed. No history since then may have been compacted. A store that is unavailable is asked again.
func Read(ctx context.Context, store kv.Store, keys kv.Range, after, until kv.Revision) (Log, error) {
	l := Log{After: after, Until: until, Range: keys}
	for after < until {
		for batch, err := range store.Watch(ctx, keys, after) {
			if errors.Is(err, kv.ErrUnavailable) {
				break
			}
			if err != nil {
				return Log{}, err
			}
			for _, e := range batch.Events {
				if e.ModRevision <= until { // a write of unknown outcome may happen at any time
					l.Events = append(l.Events, e)
				}
			}
			if after = batch.Revision; after >= until {
				break
			}
		}
	}
	return l, nil
}

// byKey returns the events of each key.
func (l Log) byKey() map[string][]kv.Event {
	events := make(map[string][]kv.Event)
	for _, e := range l.Events {
		events[e.Key] = append(events[e.Key], e)
	}
	return events
}

// in returns the events in keys after a revision.
func (l Log) in(keys kv.Range, after kv.Revision) []kv.Event {
	var in []kv.Event
	for _, e := range l.Events {
		if keys.Contains(e.Key) && e.ModRevision > after {
			in = append(in, e)
		}
	}
	return in
}

// keyAt returns what a key was at a revision, given its events: the zero Entry where it did not exist.
func keyAt(events []kv.Event, rev kv.Revision) kv.Entry {
	n, _ := slices.BinarySearchFunc(events, rev+1, func(e kv.Event, rev kv.Revision) int {
		return cmp.Compare(e.ModRevision, rev)
	})
	if n == 0 || events[n-1].Type == kv.EventDelete {
		return kv.Entry{}
	}
	return events[n-1].Entry
}
