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

// A Watcher watches everything the clients do, through a store of its own.
type Watcher struct {
	Name  string
	Store kv.Store
	Key   bool // watches one key only
	Every int  // batches, after which it stops and goes on
}

// patience bounds what must succeed once a store is well.
const patience = 30 * time.Second

// Record runs w concurrently with watchers and with harm, which is to end with ctx and to leave the store well. It
// returns all there is to know about the keys of w, which must not have been used before.
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
		f.Await(end, until) // what has not come by then is for the judge to name
		run.Watches[i].Segments = f.Stop()
	}
	if err != nil {
		return run, err
	}
	run.Log, err = history.Read(end, w.Stores[0], keys, before.Revision, until)
	return run, err
}

// end changes one key after all others, so that everybody who watches sees that it is over.
func (w Workload) end(ctx context.Context, recorder *history.Recorder) (kv.Revision, error) {
	last := len(w.Stores)
	for n := 0; ; n++ {
		// In the range of those who watch one key as well.
		put := kv.PutOp(w.Prefix+"k0~end", fmt.Appendf(nil, "%d.%d", last, n))
		rev, err := recorder.Commit(ctx, w.Stores[0], last, put)
		if err == nil {
			return rev, nil
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("the store is not well: %w", err)
		}
	}
}
