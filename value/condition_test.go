package value_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// writesOn requires a put on a condition to succeed, and the same put on the same condition to fail after that.
func (w *world) writesOn(c kv.Condition, text string) kv.Revision {
	w.Helper()
	rev, err := w.Store.Put(w.Context(), w.key, []byte(text), c)
	if err != nil {
		w.broken("a put of %q on the condition of what was read failed: %v", text, err)
	}
	if _, err := w.Store.Put(w.Context(), w.key, []byte(text), c); !errors.Is(err, kv.ErrConflict) {
		w.broken("a put on the condition of what was read before another put: %v, want a conflict", err)
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
			w.broken("while a bad value of revision %d is the newest, Latest = %+v", bad, r)
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
			w.broken("a put on the condition of nothing that was read: %v, want a conflict", err)
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
