package memory_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

// Readers that get, watch, and get again after a compaction converge on the contents of the store, while others write and
// compact.
func TestReadersKeepUpDuringWritesAndCompactions(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	const writers, writes = 4, 500
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range writes {
				own, shared := fmt.Sprintf("/%d/%d", w, i%7), fmt.Sprintf("/shared/%d", i%3)
				if _, err := s.Commit(ctx, kv.PutOp(own, []byte(fmt.Sprint(i))), kv.PutOp(shared, []byte(fmt.Sprint(i)))); err != nil {
					t.Error(err)
				}
				if i%5 == 0 {
					if _, err := s.Delete(ctx, own); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	stopCompacting := make(chan struct{})
	reading.Go(func() {
		for {
			select {
			case <-stopCompacting:
				return
			default:
			}
			snapshot, err := s.Get(ctx, kv.Key("/shared/0"))
			if err != nil {
				t.Error(err)
			}
			if err := s.Compact(ctx, snapshot.Revision); err != nil && !errors.Is(err, kv.ErrCompacted) {
				t.Error(err)
			}
			if err := s.RequestProgress(ctx); err != nil {
				t.Error(err)
			}
		}
	})

	const done = "/shared/done"
	ranges := []kv.Range{kv.All(), kv.Prefix("/shared/"), kv.Interval("/1", done+"\x00"), kv.All()}
	mirrors := make([]map[string]string, len(ranges))
	for i, r := range ranges {
		mirror := make(map[string]string)
		mirrors[i] = mirror
		reading.Go(func() {
			for {
				snapshot, err := s.Get(ctx, r)
				if err != nil {
					t.Error(err)
					return
				}
				clear(mirror)
				for _, entry := range snapshot.Entries {
					mirror[entry.Key] = string(entry.Value)
				}
				if mirror[done] != "" {
					return
				}
				last := snapshot.Revision
				for batch, err := range s.Watch(ctx, r, last) {
					if err != nil {
						if !errors.Is(err, kv.ErrCompacted) {
							t.Error(err)
							return
						}
						break
					}
					for _, event := range batch.Events {
						if event.ModRevision <= last {
							t.Errorf("revision %d came after %d", event.ModRevision, last)
						}
						if event.Type == kv.EventDelete {
							delete(mirror, event.Key)
						} else {
							mirror[event.Key] = string(event.Value)
						}
					}
					last = batch.Revision
					if mirror[done] != "" {
						return
					}
				}
			}
		})
	}
	writing.Wait()
	close(stopCompacting)
	put(t, s, done, "done")
	reading.Wait()
	for i, r := range ranges {
		want := make(map[string]string)
		for _, entry := range get(t, s, r).Entries {
			want[entry.Key] = string(entry.Value)
		}
		diff(t, mirrors[i], want)
	}
	if n := s.Watches(); n != 0 {
		t.Errorf("%d watches are left", n)
	}
}

// Every get sees all of a commit or nothing of it, even if the commit is too large to be collected at once.
func TestGetIsOfOneRevisionDuringWrites(t *testing.T) {
	leaktest.Check(t)
	s := memory.New(memory.WithMaxOps(0), memory.WithHistory(10))
	const keys = 3000
	commit := func(i int) {
		ops := make([]kv.Op, keys)
		for j := range ops {
			ops[j] = kv.PutOp(fmt.Sprintf("/%04d", j), []byte(fmt.Sprint(i)))
		}
		if _, err := s.Commit(t.Context(), ops...); err != nil {
			t.Error(err)
		}
	}
	commit(0)
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range 50 {
			commit(i)
		}
	})
	for range 50 {
		snapshot := get(t, s, kv.All())
		if len(snapshot.Entries) != keys {
			t.Fatalf("got %d entries, want %d", len(snapshot.Entries), keys)
		}
		for i, entry := range snapshot.Entries {
			if entry.ModRevision != snapshot.Revision || entry.Key != fmt.Sprintf("/%04d", i) {
				t.Fatalf("entry %d at revision %d is %q of %d", i, snapshot.Revision, entry.Key, entry.ModRevision)
			}
		}
	}
	writing.Wait()
}

// A watch ends with one error, for every reason and at every moment. Nothing of the watch is left.
func TestWatchesEndOnceDuringConcurrentUse(t *testing.T) {
	leaktest.Check(t)
	for i := range 200 {
		s := memory.New()
		b := s.Backup()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for j := range 4 {
			all.Go(func() {
				errs := 0
				for _, err := range s.Watch(ctx, []kv.Range{kv.Key("/a"), kv.Prefix("/"), kv.All(), kv.Interval("/a", "/b")}[j], 0) {
					if err != nil {
						errs++
						if !errors.Is(err, context.Canceled) && !errors.Is(err, kv.ErrReset) && !errors.Is(err, kv.ErrClosed) {
							t.Error(err)
						}
					}
				}
				if errs != 1 {
					t.Errorf("a watch ended with %d errors", errs)
				}
			})
		}
		all.Go(func() { s.Put(ctx, "/a", nil) })
		for j, end := range []func(){cancel, func() { s.Close() }, func() { s.Restore(b) }} {
			if i%3 == j || j == 1 {
				all.Go(end)
			}
		}
		all.Wait()
		cancel()
		if s.Registered() {
			t.Fatal("the store still has something of the watches")
		}
	}
}
