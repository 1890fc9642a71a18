package value_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// writesOn requires that a put on a condition succeeds, and that the same put on the same condition fails after that.
func (w *world) writesOn(c kv.Condition, text string) kv.Revision {
	w.Helper()
	rev, err := w.Store.Put(w.Context(), w.key, []byte(text), c)
	if err != nil {
		w.broken("a put of %q on the condition of a reading failed: %v", text, err)
	}
	if _, err := w.Store.Put(w.Context(), w.key, []byte(text), c); !errors.Is(err, kv.ErrConflict) {
		w.broken("a put on the condition of an old reading: %v, want a conflict", err)
	}
	return rev
}

const conditional = "a write on the condition of a reading replaces what was read, and nothing newer"

func TestAReadingHasTheConditionForAWrite(t *testing.T) {
	each(t, conditional, func(w *world) {
		v := value.New(w.Store, w.key, value.JSON[int], value.WithDefault(7))
		a := watch(w, v)
		next := func(want int) value.Reading[int] {
			a.Gives(want)
			r, ok := v.Latest()
			if !ok || r.Value != want {
				w.broken("Latest = %+v, %t, want %d", r, ok, want)
			}
			return r
		}
		w.writesOn(next(7).Condition(), "1") // the default stands in
		w.writesOn(next(1).Condition(), "2")
		next(2)
		bad := w.put("bad")
		a.FailsToDecode(bad)
		r, _ := v.Latest()
		if r.Value != 2 || r.ModRevision != bad {
			w.broken("the newest value is bad, of revision %d, and Latest = %+v", bad, r)
		}
		w.writesOn(r.Condition(), "3")
		w.writesOn(next(3).Condition(), "4")
		next(4)
		w.delete()
		w.writesOn(next(7).Condition(), "5")
		next(5)
	})
}

func TestAWatcherHasTheConditionForAWrite(t *testing.T) {
	each(t, conditional, func(w *world) {
		a := value.New(w.Store, w.key, value.JSON[int], value.WithDefault(7)).Watch()
		defer a.Close()
		wants := func(want int) {
			w.Helper()
			if got, err := a.Get(w.Context()); err != nil || got != want {
				w.broken("Get = %d, %v, want %d", got, err, want)
			}
		}
		if _, err := w.Store.Put(w.Context(), w.key, nil, a.Condition()); !errors.Is(err, kv.ErrConflict) {
			w.broken("a put on the condition of an empty reading: %v, want a conflict", err)
		}
		wants(7)
		w.writesOn(a.Condition(), "1")
		wants(1)
		w.put("bad")
		if _, err := a.Get(w.Context()); err == nil {
			w.broken("a bad value was returned without an error")
		}
		w.writesOn(a.Condition(), "2")
		wants(2)
		w.delete()
		wants(7)
		w.writesOn(a.Condition(), "3")
	})
}

// Only the filter has seen a skipped value. A Get that skips a value and then ends has returned nothing.
func TestASkippedValueDoesNotCountAsReturned(t *testing.T) {
	never := value.Where(func(n int) bool { return n < 10 })
	for name, c := range map[string]struct {
		skips func(rev kv.Revision) value.GetOption[int]
		opts  []value.WatchOption
	}{
		"Where":                        {func(kv.Revision) value.GetOption[int] { return never }, nil},
		"Where, every update":          {func(kv.Revision) value.GetOption[int] { return never }, []value.WatchOption{value.EveryUpdate()}},
		"IfChanged":                    {func(kv.Revision) value.GetOption[int] { return value.IfChanged(func(int, int) bool { return true }) }, nil},
		"too old, and every update":    {func(rev kv.Revision) value.GetOption[int] { return value.AtLeast[int](rev + 9) }, []value.WatchOption{value.EveryUpdate()}},
		"too old, and only the newest": {func(rev kv.Revision) value.GetOption[int] { return value.AtLeast[int](rev + 9) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, conditional, func(w *world) {
				shown := w.put("1")
				a := value.New(w.Store, w.key, value.JSON[int]).Watch(c.opts...)
				defer a.Close()
				if got, err := a.Get(w.Context()); err != nil || got != 1 {
					w.broken("Get = %d, %v, want 1", got, err)
				}
				w.put("11")
				rev := w.put("12")
				ctx, cancel := context.WithTimeout(w.Context(), time.Second)
				defer cancel()
				if got, err := a.Get(ctx, c.skips(rev)); !errors.Is(err, context.DeadlineExceeded) {
					w.broken("Get = %d, %v, want nothing until the context ends", got, err)
				}
				if a.Revision() != shown {
					w.broken("Revision = %d, want %d, the revision of what was returned last", a.Revision(), shown)
				}
				if _, err := w.Store.Put(w.Context(), w.key, nil, a.Condition()); !errors.Is(err, kv.ErrConflict) {
					w.broken("a put on the condition of the last return, after the key has changed: %v, want a conflict", err)
				}
			})
		})
	}
}

func TestAMapHasNoConditionForAWrite(t *testing.T) {
	onMap(t, func(b *mapBed) {
		b.put("/m/a", "1")
		w := b.watch()
		b.wantChanges(w, "/m/a: none -> 1")
		for _, key := range []string{"/m/a", "/m/b"} {
			if _, err := b.memory.Put(b.Context(), key, nil, w.Condition()); !errors.Is(err, kv.ErrConflict) {
				t.Errorf("promised: the condition of a Map never holds; a put of %s: %v", key, err)
			}
		}
	})
}

func TestAMapOfOneKeyIsAMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		m := value.NewMap(store, kv.Key("/a"), value.JSON[int])
		if key := m.Key(); key != "" {
			t.Errorf("promised: a Map has no Key; it is %q", key)
		}
		w := m.Watch()
		defer w.Close()
		for _, text := range []string{"", "1"} { // absent, and present
			if text != "" {
				if _, err := store.Put(t.Context(), "/a", []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			view, err := w.Get(t.Context())
			if err != nil || view.Len() != len(text) {
				t.Fatalf("Get = %d keys, %v, want %d", view.Len(), err, len(text))
			}
			if _, err := store.Put(t.Context(), "/a", nil, w.Condition()); !errors.Is(err, kv.ErrConflict) {
				t.Errorf("promised: the condition of a Map never holds; a put when it has %d keys: %v", view.Len(), err)
			}
		}
	})
}
