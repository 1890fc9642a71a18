package value_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// transfers is a store that counts the entries that its reads return.
type transfers struct {
	*fault.Store
	entries atomic.Int64
	before  func() // called before each summary
}

func (s *transfers) Itself() kv.Store { return s }

func (s *transfers) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.Store.Get(ctx, r)
	s.entries.Add(int64(len(snapshot.Entries)))
	return snapshot, err
}

func (s *transfers) Stat(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.Store.Stat(ctx, r)
	s.entries.Add(int64(len(snapshot.Entries)))
	return snapshot, err
}

func (s *transfers) Summarize(ctx context.Context, r kv.Range, since kv.Revision, limit int) (kv.Summary, error) {
	if s.before != nil {
		s.before()
	}
	summary, err := s.Store.Summarize(ctx, r, since, limit)
	s.entries.Add(int64(len(summary.Since)))
	return summary, err
}

const largeMap = 1000 // keys

// onLargeMap runs a test of a Map of many keys.
func onLargeMap(t *testing.T, test func(b *mapBed, s *transfers), opts ...value.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := &transfers{Store: fault.New(store)}
		b := &mapBed{T: t, Store: s.Store, memory: store}
		for i := range largeMap {
			b.put(fmt.Sprintf("/m/%04d", i), "1")
		}
		b.m = value.NewMap(s, kv.Prefix("/m/"), strict, opts...)
		test(b, s)
	})
}

func TestAnIdleMapOfManyKeysCostsOneEntryAMinute(t *testing.T) {
	onLargeMap(t, func(b *mapBed, s *transfers) {
		b.wantView(b.watch())
		s.entries.Store(0)
		before := b.Counts().Gets
		time.Sleep(time.Hour)
		if reads := b.Counts().Gets - before; reads < 59 || reads > 60 {
			t.Errorf("promised: a silent watch is checked once a minute; in an hour there were %d reads", reads)
		}
		if n := s.entries.Load(); n > 60 {
			t.Errorf("promised: a check of %d keys that have not changed reads one of them; in an hour %d entries were read", largeMap, n)
		}
	})
}

func TestAMapOfManyKeysThatIsReadForItsStalenessCostsLittle(t *testing.T) {
	onLargeMap(t, func(b *mapBed, s *transfers) {
		b.wantView(b.watch())
		s.entries.Store(0)
		before := b.Counts().Gets
		time.Sleep(time.Second / 2) // so that no put comes during a read
		for i := range 360 {        // an hour
			b.put("/m/0000", fmt.Sprint(i))
			time.Sleep(10 * time.Second)
		}
		reads, whole := b.Counts().Gets-before, int64(7)
		if n := s.entries.Load(); reads < 1000 || n > whole*largeMap+int64(reads) {
			t.Errorf("promised: a full read every ten minutes, and summaries in between; in an hour %d reads had %d entries", reads, n)
		}
	}, value.WithMaxStaleness(6*time.Second))
}

// V15 for many keys: an own write is returned as soon as the watch has delivered it, and no other key is read for that.
func TestV15AnOwnWriteAmongManyKeysCostsAFewEntries(t *testing.T) {
	for name, meanwhile := range map[string]func(s *transfers){
		"the watch brings it after the Get began": func(s *transfers) {
			s.Freeze(fault.Watches)
			time.AfterFunc(time.Millisecond, s.Heal) // by then the Get waits
		},
		"the watch has brought it": func(*transfers) { synctest.Wait() },
	} {
		t.Run(name, func(t *testing.T) {
			onLargeMap(t, func(b *mapBed, s *transfers) {
				w := b.watch()
				b.wantView(w)
				for n := range 20 {
					revision := b.put("/m/0500", fmt.Sprint(n+2))
					meanwhile(s)
					s.entries.Store(0)
					began := time.Now()
					v, err := w.Get(b.Context(), value.AtLeast[value.View[string]](revision))
					if item, ok := v.Get("/m/0500"); err != nil || !ok || item.Value != fmt.Sprint(n+2) {
						b.Fatalf("promised: a Get with AtLeast returns the own write; it returned %v, %v", item, err)
					}
					if n := s.entries.Load(); n > 4 {
						b.Fatalf("promised: an own write among %d keys is read without the others; %d entries were read", largeMap, n)
					}
					if took := time.Since(began); took > time.Millisecond {
						b.Fatalf("promised: an own write is returned as soon as the watch has delivered it; that took %v", took)
					}
				}
			})
		})
	}
}

// If the watch does not deliver the write, or if other keys change all the time, the keys are read.
func TestV15AnOwnWriteAmongManyKeysIsReadIfTheWatchDoesNotDeliverIt(t *testing.T) {
	for name, happens := range map[string]func(b *mapBed, s *transfers){
		"the watch is silent": func(b *mapBed, _ *transfers) { b.Silence() },
		"other keys change before each read": func(b *mapBed, s *transfers) {
			n := 0
			s.before = func() { n++; b.put("/m/0001", fmt.Sprint(n)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			onLargeMap(t, func(b *mapBed, s *transfers) {
				w := b.watch()
				b.wantView(w)
				happens(b, s)
				revision := b.put("/m/0500", "2")
				began := time.Now()
				v, err := w.Get(b.Context(), value.AtLeast[value.View[string]](revision))
				if item, ok := v.Get("/m/0500"); err != nil || !ok || item.Value != "2" {
					b.Fatalf("promised: a Get with AtLeast returns the own write; it returned %v, %v", item, err)
				}
				if took := time.Since(began); took > time.Second {
					b.Errorf("promised: a write that the watch does not deliver is read soon; that took %v", took)
				}
			})
		})
	}
}

// V11: a wait for the watch must not make a value stale that a read can confirm.
func TestV11AMapOfManyKeysWhoseWatchIsSilentIsReadBeforeItIsStale(t *testing.T) {
	const limit = 150 * time.Millisecond
	onLargeMap(t, func(b *mapBed, _ *transfers) {
		w := b.watch()
		b.wantView(w)
		b.Silence()
		for n := range 20 {
			b.put("/m/0500", fmt.Sprint(n+2))
			v, err := w.Get(b.Context())
			if item, _ := v.Get("/m/0500"); err != nil || item.Value != fmt.Sprint(n+2) {
				b.Fatalf("promised: a Get is not stale for %v while the store answers each read; it returned %v, %v", limit, item, err)
			}
		}
	}, value.WithMaxStaleness(limit))
}

// wantView checks the first View.
func (b *mapBed) wantView(w *value.Watcher[value.View[string]]) {
	b.Helper()
	if v, err := w.Get(b.Context()); err != nil || v.Len() != largeMap {
		b.Fatalf("Get = %d keys, %v, want %d", v.Len(), err, largeMap)
	}
}

func TestTheCheckOfManyKeysFindsWhatADeadStreamDidNotDeliver(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(b *mapBed)
		want    []string
	}{
		"a put":         {func(b *mapBed) { b.put("/m/0500", "2") }, []string{"/m/0500: 1 -> 2"}},
		"a deletion":    {func(b *mapBed) { b.delete("/m/0500") }, []string{"/m/0500: 1 -> none"}},
		"a new key":     {func(b *mapBed) { b.put("/m/x", "1") }, []string{"/m/x: none -> 1"}},
		"created again": {func(b *mapBed) { b.delete("/m/0500"); b.put("/m/0500", "2") }, []string{"/m/0500: 1 -> 2"}},
		"the newest":    {func(b *mapBed) { b.delete("/m/0999") }, []string{"/m/0999: 1 -> none"}},
		"one for one":   {func(b *mapBed) { b.delete("/m/0999"); b.put("/m/x", "1") }, []string{"/m/0999: 1 -> none", "/m/x: none -> 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			onLargeMap(t, func(b *mapBed, _ *transfers) {
				w := b.watch()
				b.wantView(w)
				time.Sleep(10 * time.Minute) // so that the range was checked before
				b.Silence()
				c.happens(b)
				time.Sleep(61 * time.Second)
				b.wantChanges(w, c.want...)
			})
		})
	}
}

// A summary cannot find this loss, because the watch has delivered a newer event. The full read finds it, which is made from time to time.
func TestTheCheckOfManyKeysFindsAnEventThatWasLostBeforeOthers(t *testing.T) {
	onLargeMap(t, func(b *mapBed, _ *transfers) {
		w := b.watch()
		b.wantView(w)
		b.Drop(1)
		b.put("/m/0500", "2")
		b.put("/m/0600", "2")
		b.wantChanges(w, "/m/0600: 1 -> 2")
		time.Sleep(12 * time.Minute)
		b.wantChanges(w, "/m/0500: 1 -> 2")
		if s := b.m.Status(); !errors.Is(s.LastError, value.ErrLostEvent) {
			t.Errorf("a lost event was found, but Status is %+v", s)
		}
	})
}

// The store is restored while its watch is dead. By the time of the check it has passed the revision that the Map has seen.
func TestTheCheckOfManyKeysFindsThatTheNewestChangeWasUndone(t *testing.T) {
	onLargeMap(t, func(b *mapBed, _ *transfers) {
		backup := b.memory.Backup()
		b.put("/m/0500", "2")
		w := b.watch()
		b.wantView(w)
		b.Silence()
		if err := b.memory.Restore(backup); err != nil {
			t.Fatal(err)
		}
		for range 9 {
			b.put("/elsewhere", "1")
		}
		time.Sleep(61 * time.Second)
		b.wantChanges(w, "/m/0500: 2 -> 1")
		if s := b.m.Status(); s.Resets != 1 {
			t.Errorf("history was replaced, but Status is %+v", s)
		}
	})
}

// onlyStat has Stat, and no other optional ability.
type onlyStat struct{ kv.Stater }

func (s onlyStat) Itself() kv.Store { return s }

func TestTheCheckOfManyKeysWorksWithoutSummaries(t *testing.T) {
	onLargeMap(t, func(b *mapBed, s *transfers) {
		b.m = value.NewMap(onlyStat{s}, kv.Prefix("/m/"), strict)
		w := b.watch()
		b.wantView(w)
		b.Silence()
		b.delete("/m/0500")
		time.Sleep(61 * time.Second)
		b.wantChanges(w, "/m/0500: 1 -> none")
	})
}
