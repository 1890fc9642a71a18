package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/internal/events"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/property_test/internal/history"
)

// A Watcher watches everything that the clients do, through a different store.
type Watcher struct {
	Name  string
	Store kv.Store
	Key   bool // watches one key only
	Every int  // it stops and resumes after this many batches
}

// patience limits what must succeed when the store works.
const patience = 30 * time.Second

// Record runs w concurrently with watchers and with harm. harm must end with ctx, and the store must work then. Record returns everything
// that is known about the keys of w. They must not have been used before.
func (w Workload) Record(ctx context.Context, watchers []Watcher, harm func(context.Context) error) (history.Run, error) {
	keys := kv.Prefix(w.Prefix)
	begin, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	before, err := w.Stores[0].Get(begin, keys)
	if err != nil {
		return history.Run{}, err
	}
	watches := make([]history.Watch, len(watchers))
	followers := make([]*events.Follower, len(watchers))
	for i, watcher := range watchers {
		r := keys
		if watcher.Key {
			r = kv.Interval(w.Prefix+"k0", w.Prefix+"k1")
		}
		watches[i] = history.Watch{Name: watcher.Name, Range: r}
		followers[i] = events.Follow(context.Background(), watcher.Store, r, before.Revision, watcher.Every)
	}

	recorder := history.NewRecorder()
	harmed := make(chan error, 1)
	go func() { harmed <- harm(ctx) }()
	w.Run(ctx, recorder)
	err = <-harmed

	end, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	until, endErr := w.end(end, recorder)
	err = errors.Join(err, endErr)
	run := history.Run{Operations: recorder.Operations(), Watches: watches}
	for i, f := range followers {
		f.Await(end, until) // the judge names the events that are missing after that
		run.Watches[i].Segments = f.Stop()
	}
	if err != nil {
		return run, err
	}
	run.Log, err = history.Read(end, w.Stores[0], keys, before.Revision, until)
	return run, err
}

// end makes a last change, so that every watcher sees the end.
func (w Workload) end(ctx context.Context, recorder *history.Recorder) (kv.Revision, error) {
	last := len(w.Stores)
	for n := 0; ; n++ {
		// The key is also in the range of the watchers of one key.
		put := kv.PutOp(w.Prefix+"k0~end", fmt.Appendf(nil, "%d.%d", last, n))
		rev, err := recorder.Commit(ctx, w.Stores[0], last, put)
		if err == nil {
			return rev, nil
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("the store does not work: %w", err)
		}
	}
}
