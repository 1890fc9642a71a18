package value_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestM8AKeyCreatedAndDeletedInALostHistoryIsAGap(t *testing.T) {
	for _, name := range []string{"compacted", "only said to be compacted"} {
		t.Run(name, func(t *testing.T) {
			onMap(t, func(b *mapBed) {
				from := b.put("/m/a", "1")
				w := b.watch(value.EveryUpdate())
				b.gives(w, from, "/m/a: none -> 1")
				b.Cut()
				came := b.put("/m/t", "1")
				b.delete("/m/t")
				if name == "compacted" {
					if err := b.memory.Compact(b.Context(), came+1); err != nil {
						b.Fatal(err)
					}
				} else {
					b.EndStreams(kv.ErrCompacted)
				}
				b.Heal()
				time.Sleep(time.Minute)
				if name == "compacted" {
					gap := b.gapOf(w)
					if gap.From != from || gap.To != came+1 || !errors.Is(gap, kv.ErrCompacted) {
						t.Errorf("the gap is %v, want one from %d to %d", gap, from, came+1)
					}
				} else {
					b.gives(w, came, "/m/t: none -> 1")
					b.gives(w, came+1, "/m/t: 1 -> none")
				}
				b.wantNothing(w)
				b.gives(w, b.put("/m/b", "2"), "/m/b: none -> 2")
			})
		})
	}
}

func TestM8NoGapForAWatcherAheadOfALostWatch(t *testing.T) {
	onMap(t, func(b *mapBed) {
		b.watch()
		synctest.Wait()
		b.Cut(fault.Watches)
		b.put("/other", "1")
		at := b.put("/other", "2")
		w := b.watch(value.EveryUpdate())
		if v, err := w.Get(b.Context()); err != nil || v.Len() != 0 || v.Revision() != at {
			b.Fatalf("the first Get = a View of %d keys at revision %d, %v; want an empty one at %d", v.Len(), v.Revision(), err, at)
		}
		if err := b.memory.Compact(b.Context(), at); err != nil {
			b.Fatal(err)
		}
		from := b.put("/m/a", "1")
		b.delete("/m/a")
		b.EndStreams(kv.ErrUnavailable)
		b.Heal()
		time.Sleep(time.Minute)
		b.gives(w, from, "/m/a: none -> 1")
		b.gives(w, from+1, "/m/a: 1 -> none")
		b.wantNothing(w)
	})
}

// A reading of history may end in the middle of a batch, and a decoder may change the bytes that it gets.
func TestM8WhatIsReadOfHistoryIsDecodedOnce(t *testing.T) {
	onMap(t, func(b *mapBed) {
		b.m = value.NewMap(b.Store, kv.Prefix("/m/"), func(bytes []byte) (string, error) {
			text := string(bytes)
			clear(bytes)
			return text, nil
		}, value.WithBacklog(1))
		w := b.watch(value.EveryUpdate())
		b.gives(w, b.put("/m/a", "1"), "/m/a: none -> 1")
		var at []kv.Revision
		for _, text := range []string{"2", "3", "4"} {
			at = append(at, b.put("/m/a", text))
		}
		synctest.Wait()
		history := b.Hold(fault.Watches)
		b.wantNothing(w)
		if err := history.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
		at = append(at, b.put("/m/a", "5"))
		history.Release()
		for i, change := range []string{"/m/a: 1 -> 2", "/m/a: 2 -> 3", "/m/a: 3 -> 4", "/m/a: 4 -> 5"} {
			b.gives(w, at[i], change)
		}
	})
}

// gives requires that the next View is of a revision and has one change.
func (b *mapBed) gives(w *value.Watcher[value.View[string]], at kv.Revision, change string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	v, err := w.Get(ctx)
	if err != nil {
		b.Fatalf("Get = %v, want the View at revision %d", err, at)
	}
	if got := changes(v); v.Revision() != at || len(got) != 1 || got[0] != change {
		b.Fatalf("the View is of revision %d with the changes %q, want revision %d and %q", v.Revision(), got, at, change)
	}
}

// gapOf requires that the next Get returns a GapError.
func (b *mapBed) gapOf(w *value.Watcher[value.View[string]]) *value.GapError {
	b.Helper()
	synctest.Wait()
	for range 2 { // the first TryGet may only start the read of the store's history
		v, err := w.TryGet()
		if gap, ok := errors.AsType[*value.GapError](err); ok {
			return gap
		} else if !errors.Is(err, value.ErrNothingNew) {
			b.Fatalf("TryGet = %v, %v, want a GapError", changes(v), err)
		}
		time.Sleep(time.Minute)
	}
	b.Fatal("no GapError")
	return nil
}

func TestM8TheFirstViewIsOfTheRevisionWhereItsWatcherBegins(t *testing.T) {
	onMap(t, func(b *mapBed) {
		b.put("/m/a", "1")
		first := b.watch()
		if _, err := first.Get(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.Freeze(fault.Watches) // so that the stream stays behind
		b.put("/m/t", "1")
		gone := b.put("/m/t", "2") + 1
		b.delete("/m/t")
		w := b.watch(value.EveryUpdate())
		b.gives(w, gone, "/m/a: none -> 1")
		b.Heal()
		b.gives(w, b.put("/m/b", "1"), "/m/b: none -> 1")
	})
}

func TestM5AWatcherKeepsItsGoodValueAfterAReadOfHistory(t *testing.T) {
	onMap(t, func(b *mapBed) {
		from := b.put("/m/x", "1")
		w := b.watch(value.EveryUpdate())
		b.gives(w, from, "/m/x: none -> 1")
		b.Cut()
		good := b.put("/m/a", "1")
		bad := b.put("/m/a", "bad")
		b.EndStreams(kv.ErrCompacted) // so that the other watchers continue from the next read, which has seen no good value
		b.Heal()
		time.Sleep(time.Minute)
		b.gives(w, good, "/m/a: none -> 1")
		b.gives(w, bad, `/m/a: 1 -> bad after "1"`)
		next := b.put("/m/b", "1")
		b.gives(w, next, "/m/b: none -> 1")
		if r, _ := b.m.Latest(); r.Revision != next {
			b.Errorf("Latest is of revision %d, want %d", r.Revision, next)
		}
	})
}

// A silent watch proves nothing: the history of an absent key may have more updates than those that were delivered.
func TestV4ASilentHistoryOfAnAbsentKeyMayHaveMore(t *testing.T) {
	inBubble(t, "V4, each update is returned once, in order, also those of an outage", func(w *world) {
		v := w.text(value.WithBacklog(1), value.WithDefault("none"))
		a := watch(w, v, value.EveryUpdate())
		a.Gives("none")
		w.Streaming(1)
		w.put("one")
		w.delete()
		w.put("two")
		w.delete() // the backlog has only this update, and the key is absent, as in the beginning
		w.Settle()
		w.Cut(fault.Watches)
		c := a.Begin()
		w.pass(time.Minute)
		w.Heal()
		c.Gives("one")
		a.GivesEach("none", "two", "none")
		a.HasNothing()
	})
}
