package property_test

import (
	"errors"
	"flag"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// Run the large numbers once before a release:
//
//	go test ./property_test -run '^TestBulk' -v -maps.full
var mapsInFull = flag.Bool("maps.full", false, "run the tests of many updates of Maps and bundles with the large numbers of a release")

// inFull returns usual, or full with -maps.full.
func inFull(usual, full int) int {
	if *mapsInFull {
		return full
	}
	return usual
}

// bulk is a Map of many keys on the memory store, in a bubble.
type bulk struct {
	*testing.T
	*memory.Store
	m *value.Map[string]
}

func newBulk(t *testing.T) *bulk {
	store := memory.New()
	return &bulk{t, store, value.NewMap(store, kv.Prefix("/m/"), value.String, value.WithCheck(0))}
}

func bulkKey(i int) string { return fmt.Sprintf("/m/%06d", i) }

func (b *bulk) put(i int, v string) kv.Revision {
	rev, err := b.Put(b.Context(), bulkKey(i), []byte(v))
	if err != nil {
		b.Fatal(err)
	}
	return rev
}

func (b *bulk) watch(opts ...value.WatchOption) *value.Watcher[value.View[string]] {
	w := b.m.Watch(opts...)
	b.Cleanup(func() { w.Close() })
	return w
}

// heap makes the store forget its history, and returns how many bytes are in use then.
func (b *bulk) heap() int {
	s, err := b.Get(b.Context(), kv.Key("any"))
	if err == nil {
		err = b.Compact(b.Context(), s.Revision)
	}
	if err != nil {
		b.Fatal(err)
	}
	synctest.Wait()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

func TestBulkV3M3ASlowReaderOfABurstGetsTheNewestViewWithExactChanges(t *testing.T) {
	keys := inFull(1000, 10_000)
	updates := 10 * keys
	synctest.Test(t, func(t *testing.T) {
		b := newBulk(t)
		for i := range keys {
			b.put(i, "before")
		}
		w := b.watch()
		synctest.Wait()
		if v, err := w.TryGet(); err != nil || v.Len() != keys {
			t.Fatalf("the first View has %d keys, %v; want %d", v.Len(), err, keys)
		}
		before := b.heap()
		changed, last := map[string]string{}, kv.Revision(0)
		for i := range updates {
			key := i * 7919 % keys / 2 * 2 // every second key changes
			text := fmt.Sprint(i)
			last = b.put(key, text)
			changed[bulkKey(key)] = text
		}
		synctest.Wait()
		grown := b.heap() - before
		t.Logf("%d updates of %d of %d keys: the heap grew by %d KiB, %d bytes a key", updates, len(changed), keys, grown>>10, grown/keys)
		if most := 1000*len(changed) + 256<<10; grown > most {
			t.Errorf("V3 (what a watcher holds does not grow with the number of updates): for %d changed keys the heap grew by %d bytes, want at most %d",
				len(changed), grown, most)
		}
		v, err := w.TryGet()
		if err != nil || v.Revision() != last {
			t.Fatalf("V3 (newest wins): after %d updates the View is of revision %d, %v; want %d", updates, v.Revision(), err, last)
		}
		for c := range v.Changes() {
			want, ok := changed[c.Key]
			delete(changed, c.Key)
			if !ok || c.Old == nil || c.Old.Value != "before" || c.New == nil || c.New.Value != want {
				t.Fatalf("M3 (changes add up): the change of %q is from %+v to %+v, want one from \"before\" to %q", c.Key, c.Old, c.New, want)
			}
		}
		if len(changed) > 0 {
			t.Errorf("M3 (changes add up): %d keys that changed are not in Changes", len(changed))
		}
	})
}

func TestBulkM2NoViewShowsAPartOfACommitOfAHundredKeys(t *testing.T) {
	commits, together := inFull(100, 1000), 100
	synctest.Test(t, func(t *testing.T) {
		b := newBulk(t)
		commit := func(i int) {
			ops := make([]kv.Op, together)
			for n := range ops {
				ops[n] = kv.PutOp(bulkKey(n*97), fmt.Append(nil, i))
			}
			if _, err := b.Commit(t.Context(), ops...); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 97 * together { // the committed keys lie among other keys
			b.put(i, "other")
		}
		commit(0)
		read := func(w *value.Watcher[value.View[string]], views *int) {
			for last := ""; last != fmt.Sprint(commits); *views++ {
				v, err := w.Get(t.Context())
				if err != nil {
					t.Errorf("Get: %v", err)
					return
				}
				first, _ := v.Get(bulkKey(0))
				last = first.Value
				for n := range together {
					if item, _ := v.Get(bulkKey(n * 97)); item.Value != last || item.ModRevision != first.ModRevision {
						t.Errorf("M2 (never half of a commit): the View of revision %d has %q for one key and %q for another", v.Revision(), last, item.Value)
						return
					}
				}
			}
		}
		var newest, every int
		go read(b.watch(), &newest)
		go read(b.watch(value.EveryUpdate()), &every)
		synctest.Wait()
		for i := range commits {
			commit(i + 1)
			if i%3 == 0 {
				runtime.Gosched()
			}
		}
		synctest.Wait()
		t.Logf("%d commits of %d keys: one watcher returned %d Views, and the watcher of every update %d", commits, together, newest, every)
		if every != commits+1 {
			t.Errorf("M8 (every revision): after the first View, %d commits were returned as %d Views", commits, every-1)
		}
	})
}

type twins struct{ a, b string }

func TestBulkM2NoBundleShowsAPartOfACommit(t *testing.T) {
	leaktest.Check(t)
	commits := inFull(5000, 100_000)
	store := memory.New()
	decode := func(entries []kv.Entry) (twins, error) {
		if len(entries) != 2 {
			return twins{}, errors.New("not two keys")
		}
		return twins{string(entries[0].Value), string(entries[1].Value)}, nil
	}
	commit := func(i int) error {
		_, err := store.Commit(t.Context(), kv.PutOp("/p/a", fmt.Append(nil, i)), kv.PutOp("/p/b", fmt.Append(nil, i)))
		return err
	}
	if err := commit(0); err != nil {
		t.Fatal(err)
	}
	bundle := value.NewBundle(store, kv.Prefix("/p/"), decode).Watch()
	defer bundle.Close()
	var alone [2]*value.Value[string]
	for i, key := range []string{"/p/a", "/p/b"} {
		alone[i] = value.New(store, key, value.String)
		w := alone[i].Watch()
		defer w.Close()
		if _, err := w.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	var written atomic.Int64
	go func() {
		for i := range commits {
			if err := commit(i + 1); err != nil {
				done <- err
				return
			}
			written.Store(int64(i + 1))
			if i%4 == 0 {
				runtime.Gosched()
			}
		}
		done <- nil
	}()
	seen, apart := 0, 0
	for last := fmt.Sprint(commits); ; seen++ {
		p, err := bundle.Get(t.Context())
		if err != nil || p.a != p.b {
			t.Fatalf("M2 (never half of a commit): after %d commits the bundle is %+v, %v", written.Load(), p, err)
		}
		if a, _ := alone[0].Latest(); true {
			if b, _ := alone[1].Latest(); a.Value != b.Value {
				apart++
			}
		}
		if p.a == last {
			break
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d commits of two keys: the bundle was returned %d times, and its keys always agreed; two Values disagreed %d times", commits, seen+1, apart)
}
