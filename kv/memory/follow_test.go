package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv"
)

// follower is the consumer of a watch, in a synctest bubble.
type follower struct {
	t       *testing.T
	cancel  context.CancelFunc
	gate    chan struct{} // closed while the consumer may ask for batches
	batches []kv.Batch
	taken   int
	err     error
	ended   bool
}

// follow starts a watch whose consumer takes every batch at once.
func follow(t *testing.T, s kv.Store, r kv.Range, after kv.Revision) *follower {
	f := followSlowly(t, s, r, after)
	f.resume()
	synctest.Wait()
	return f
}

// followSlowly starts a watch whose consumer stops after its first batch, until resume.
func followSlowly(t *testing.T, s kv.Store, r kv.Range, after kv.Revision) *follower {
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{t: t, cancel: cancel, gate: make(chan struct{})}
	go func() {
		for batch, err := range s.Watch(ctx, r, after) {
			if err != nil {
				f.err = err
				continue
			}
			f.batches = append(f.batches, batch)
			select {
			case <-f.gate:
			case <-ctx.Done():
			}
		}
		f.ended = true
	}()
	synctest.Wait()
	return f
}

func (f *follower) resume() { close(f.gate) }

// got fails the test unless exactly these batches came since the last call, and the watch goes on.
func (f *follower) got(want ...kv.Batch) {
	f.t.Helper()
	synctest.Wait()
	got := f.batches[f.taken:]
	f.taken = len(f.batches)
	if len(got) != 0 || len(want) != 0 {
		diff(f.t, got, want)
	}
	if f.ended {
		f.t.Errorf("the watch ended with %v", f.err)
	}
}

// gotEnd fails the test unless nothing more came and the watch ended with an error that matches want.
func (f *follower) gotEnd(want error) {
	f.t.Helper()
	synctest.Wait()
	if got := f.batches[f.taken:]; len(got) != 0 {
		f.t.Errorf("%v came before the end", got)
	}
	if !f.ended || !errors.Is(f.err, want) {
		f.t.Errorf("the watch ended (%t) with %v, want %v", f.ended, f.err, want)
	}
}

// gotCompacted is gotEnd for a watch that ends with a CompactedError with this oldest revision.
func (f *follower) gotCompacted(oldest kv.Revision) {
	f.t.Helper()
	f.gotEnd(kv.ErrCompacted)
	if compacted := new(kv.CompactedError); !errors.As(f.err, &compacted) || compacted.Oldest != oldest {
		f.t.Errorf("the watch ended with %v, want %d as the oldest revision", f.err, oldest)
	}
}

// stop ends the watch.
func (f *follower) stop() {
	f.cancel()
	synctest.Wait()
	if !f.ended {
		f.t.Error("the context of the watch is done, but the watch goes on")
	}
}

// putAt returns a batch with one put of a key.
func putAt(key, value string, create, modify kv.Revision, version int64) kv.Batch {
	entry := kv.Entry{Key: key, Value: []byte(value), CreateRevision: create, ModRevision: modify, Version: version}
	if value == "" {
		entry.Value = nil
	}
	return kv.Batch{Revision: modify, Events: []kv.Event{{Type: kv.EventPut, Entry: entry}}}
}

// deleteAt returns a batch with one deletion.
func deleteAt(key string, modify kv.Revision) kv.Batch {
	return kv.Batch{Revision: modify, Events: []kv.Event{{Type: kv.EventDelete, Entry: kv.Entry{Key: key, ModRevision: modify}}}}
}

// join joins several batches into one.
func join(batches ...kv.Batch) kv.Batch {
	var joined kv.Batch
	for _, b := range batches {
		joined.Revision = b.Revision
		joined.Events = append(joined.Events, b.Events...)
	}
	return joined
}
