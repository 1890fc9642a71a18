package value_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// mapBed is a Map on the memory store, in a bubble, with faults between the two. Writes go directly to the store.
type mapBed struct {
	*testing.T
	*fault.Store
	memory *memory.Store
	m      *value.Map[string]
}

// onMap runs a test of a Map of the prefix /m/.
func onMap(t *testing.T, test func(b *mapBed), opts ...value.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		b := &mapBed{T: t, Store: fault.New(store), memory: store}
		b.m = value.NewMap(b.Store, kv.Prefix("/m/"), strict, append([]value.Option{value.WithCheck(0)}, opts...)...)
		test(b)
	})
}

func (b *mapBed) put(key, v string) kv.Revision {
	b.Helper()
	r, err := b.memory.Put(b.Context(), key, []byte(v))
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func (b *mapBed) delete(key string) {
	b.Helper()
	if _, err := b.memory.Delete(b.Context(), key); err != nil {
		b.Fatal(err)
	}
}

func (b *mapBed) watch(opts ...value.WatchOption) *value.Watcher[value.View[string]] {
	w := b.m.Watch(opts...)
	b.Cleanup(func() { w.Close() })
	return w
}

// readOnce makes the Map read while the watch runs, and waits until the Map has used the answer.
func (b *mapBed) readOnce() {
	b.Helper()
	w := b.m.Watch()
	defer w.Close()
	synctest.Wait()
	if _, err := w.TryGet(); err != nil {
		b.Fatalf("a new watcher: %v", err)
	}
}

// wantChanges requires that the next View has these changes.
func (b *mapBed) wantChanges(w *value.Watcher[value.View[string]], want ...string) {
	b.Helper()
	synctest.Wait()
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	v, err := w.Get(ctx)
	if err != nil {
		b.Fatalf("Get = %v, want the changes %q", err, want)
	}
	if d := cmp.Diff(want, changes(v)); d != "" {
		b.Fatalf("the changes of the View at revision %d (-want +got):\n%s", v.Revision(), d)
	}
}

func (b *mapBed) wantNothing(w *value.Watcher[value.View[string]]) {
	b.Helper()
	synctest.Wait()
	if v, err := w.TryGet(); !errors.Is(err, value.ErrNothingNew) {
		b.Fatalf("TryGet = %v, %v, want ErrNothingNew", shown(v), err)
	}
}

// A read that shows the range unchanged does not prove that no key came and went.
func TestM8AReadAheadOfALateStreamLosesNoRevision(t *testing.T) {
	onMap(t, func(b *mapBed) {
		b.put("/m/a", "1")
		w := b.watch(value.EveryUpdate())
		b.wantChanges(w, "/m/a: none -> 1")
		late := b.Hold(fault.Watches, fault.Answered)
		b.put("/m/b", "1")
		b.delete("/m/b")
		b.readOnce()
		late.Release()
		b.wantChanges(w, "/m/b: none -> 1")
		b.wantChanges(w, "/m/b: 1 -> none")
		b.wantNothing(w)
	})
}

// A late answer does not prove that the watch, which is ahead of it, has lost an event.
func TestALateReadIsNotALostEvent(t *testing.T) {
	onMap(t, func(b *mapBed) {
		b.put("/m/a", "1")
		w := b.watch(value.EveryUpdate())
		b.wantChanges(w, "/m/a: none -> 1")
		late := b.Hold(fault.Gets, fault.Answered)
		other := b.watch()
		synctest.Wait()
		b.put("/m/b", "1")
		b.delete("/m/b")
		b.put("/n", "")
		if err := b.memory.RequestProgress(b.Context()); err != nil {
			b.Fatal(err)
		}
		synctest.Wait()
		late.Release()
		b.wantChanges(w, "/m/b: none -> 1")
		b.wantChanges(w, "/m/b: 1 -> none")
		b.wantNothing(w)
		b.wantChanges(other, "/m/a: none -> 1")
		if s := b.m.Status(); s.Holes != 0 || s.LastError != nil {
			b.Errorf("Status = %+v, want no holes and no error", s)
		}
	})
}

// The last good value is the newest one that is known, even if the stream delivers it after a read has shown the bad value.
func TestM5TheLastGoodValueNeverGoesBack(t *testing.T) {
	onMap(t, func(b *mapBed) {
		b.put("/m/a", "1")
		w, newest := b.watch(value.EveryUpdate()), b.watch()
		b.wantChanges(w, "/m/a: none -> 1")
		b.wantChanges(newest, "/m/a: none -> 1")
		late := b.Hold(fault.Watches, fault.Answered)
		b.put("/m/a", "2")
		b.put("/m/a", "bad")
		b.readOnce()
		b.wantChanges(newest, `/m/a: 1 -> bad after "1"`)
		late.Release()
		b.wantChanges(w, "/m/a: 1 -> 2")
		b.wantChanges(w, `/m/a: 2 -> bad after "2"`)
		b.put("/m/b", "1")
		b.wantChanges(w, "/m/b: none -> 1")
		b.wantChanges(newest, `/m/a: bad after "1" -> bad after "2"`, "/m/b: none -> 1")
	})
}

// A read may find what a lost watch has missed. Its revision may be one at which nothing in the range changed.
func TestM8HistoryIsReadUpToWhatTheStoreHas(t *testing.T) {
	onMap(t, func(b *mapBed) {
		b.put("/m/a", "1")
		first := b.watch()
		b.wantChanges(first, "/m/a: none -> 1")
		b.Silence() // so that the stream stays behind
		b.put("/m/b", "1")
		w := b.watch(value.EveryUpdate()) // begins ahead of the stream
		b.wantChanges(w, "/m/a: none -> 1", "/m/b: none -> 1")
		hold := b.Hold(fault.Gets)
		b.EndStreams(&kv.CompactedError{})
		synctest.Wait()
		b.put("/m/c", "1")
		b.put("/n", "")
		hold.Release()
		time.Sleep(time.Hour)
		b.wantChanges(w, "/m/c: none -> 1")
		b.wantChanges(first, "/m/b: none -> 1", "/m/c: none -> 1")
		b.put("/m/d", "1")
		b.wantChanges(w, "/m/d: none -> 1")
		b.wantNothing(w)
	})
}

// A Get has made all its changes before another Get may run. Nothing else synchronizes the goroutines, so the race detector would report a race.
func TestV10ASecondGetDoesNotAffectTheFirst(t *testing.T) {
	store := memory.New()
	m := value.NewMap(store, kv.Prefix("/m/"), strict)
	w := m.Watch()
	defer w.Close()
	var running sync.WaitGroup
	for range 50 {
		running.Go(func() {
			for {
				_, err := w.Get(t.Context())
				if errors.Is(err, value.ErrConcurrentGet) {
					runtime.Gosched()
					continue
				}
				if err != nil {
					t.Errorf("Get: %v", err)
				}
				return
			}
		})
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		default:
			if _, err := store.Put(t.Context(), "/m/a", []byte("1")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The stream has delivered the good value, and a read has shown the bad one. If the stream then ends, the good value must still be known.
func TestM5AReadKeepsTheGoodValueOfTheStream(t *testing.T) {
	onMap(t, func(b *mapBed) {
		b.put("/m/b", "1")
		w := b.watch(value.EveryUpdate())
		b.wantChanges(w, "/m/b: none -> 1")
		late := b.Hold(fault.Watches, fault.Answered)
		b.put("/m/a", "1")
		b.put("/m/a", "bad")
		b.readOnce() // this read has seen only the bad value
		late.Release()
		b.wantChanges(w, "/m/a: none -> 1")
		b.wantChanges(w, `/m/a: 1 -> bad after "1"`)
		b.EndStreams(kv.ErrUnavailable)
		b.put("/m/b", "2")
		b.wantChanges(w, "/m/b: 1 -> 2")
	})
}
