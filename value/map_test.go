package value_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// shown returns what a View shows, as text.
func shown(v value.View[string]) map[string]string {
	m := map[string]string{}
	for key, item := range v.All() {
		m[key] = textOf(&item)
	}
	return m
}

func textOf(item *value.Item[string]) string {
	switch {
	case item == nil:
		return "none"
	case item.Err != nil:
		return fmt.Sprintf("bad after %q", item.Value)
	}
	return item.Value
}

// changes returns the changes of a View, as text, in order.
func changes(v value.View[string]) []string {
	var all []string
	for c := range v.Changes() {
		all = append(all, fmt.Sprintf("%s: %s -> %s", c.Key, textOf(c.Old), textOf(c.New)))
	}
	return all
}

// strict decodes all but bad values.
func strict(b []byte) (string, error) {
	if strings.HasPrefix(string(b), "bad") {
		return "", errors.New("a bad value")
	}
	return string(b), nil
}

func TestAMapShowsItsRangeAndWhatChangedInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, store := t.Context(), memory.New()
		put := func(key, v string) {
			t.Helper()
			if _, err := store.Put(ctx, key, []byte(v)); err != nil {
				t.Fatal(err)
			}
		}
		m := value.NewMap(store, kv.Prefix("/svc/"), strict)
		w := m.Watch()
		defer w.Close()
		want := func(contents map[string]string, changed ...string) {
			t.Helper()
			synctest.Wait()
			v, err := w.TryGet()
			if err != nil {
				t.Fatalf("TryGet: %v", err)
			}
			if d := cmp.Diff(contents, shown(v)); d != "" {
				t.Errorf("the View at revision %d (-want +got):\n%s", v.Revision(), d)
			}
			if d := cmp.Diff(changed, changes(v)); d != "" {
				t.Errorf("its changes (-want +got):\n%s", d)
			}
			if got := v.Len(); got != len(contents) {
				t.Errorf("Len() = %d, want %d", got, len(contents))
			}
		}
		type c = map[string]string
		want(c{}) // M1: in sync, with nothing in it
		put("/svc/a", "1")
		put("/svc0", "a neighbour")
		put("/svc/b", "1")
		want(c{"/svc/a": "1", "/svc/b": "1"}, "/svc/a: none -> 1", "/svc/b: none -> 1")
		put("/svc/a", "2")
		put("/svc/c", "bad")
		want(c{"/svc/a": "2", "/svc/b": "1", "/svc/c": `bad after ""`}, "/svc/a: 1 -> 2", `/svc/c: none -> bad after ""`)
		if err := m.Status().BadValue; err == nil || !strings.Contains(err.Error(), `"/svc/c"`) {
			t.Errorf("Status().BadValue = %v, want that of /svc/c", err)
		}
		if _, err := store.Delete(ctx, "/svc/b"); err != nil {
			t.Fatal(err)
		}
		put("/svc/a", "bad")
		put("/svc/a", "bad too")
		put("/svc/d", "1")
		want(c{"/svc/a": `bad after "2"`, "/svc/c": `bad after ""`, "/svc/d": "1"},
			"/svc/b: 1 -> none", `/svc/a: 2 -> bad after "2"`, "/svc/d: none -> 1")
		put("/svc/a", "3")
		put("/svc/c", "3")
		want(c{"/svc/a": "3", "/svc/c": "3", "/svc/d": "1"}, `/svc/a: bad after "2" -> 3`, `/svc/c: bad after "" -> 3`)
		if err := m.Status().BadValue; err != nil {
			t.Errorf("Status().BadValue = %v after all values were good again", err)
		}
		put("/svc0", "a neighbour")
		synctest.Wait()
		if v, err := w.TryGet(); !errors.Is(err, value.ErrNothingNew) {
			t.Errorf("a change of a neighbour: TryGet = %v, %v", shown(v), err)
		}
		if _, err := store.Commit(ctx, kv.DeleteOp("/svc/a"), kv.DeleteOp("/svc/c"), kv.DeleteOp("/svc/d")); err != nil {
			t.Fatal(err)
		}
		want(c{}, "/svc/a: 3 -> none", "/svc/c: 3 -> none", "/svc/d: 1 -> none")
	})
}

func TestAViewOfAnInvalidRangeIsEmpty(t *testing.T) {
	store := memory.New()
	if _, err := store.Put(t.Context(), "/a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	view, err := value.NewMap(store, kv.All(), strict).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []kv.Range{{}, kv.Key(""), kv.Interval("/b", "/a")} {
		in := view.In(r)
		if got := shown(in); in.Len() != 0 || len(got) != 0 || len(changes(in)) != 0 || len(shown(in.In(kv.All()))) != 0 {
			t.Errorf("promised: In shows only what is in the range, and nothing is in %v; it has %d keys: %v", r, in.Len(), got)
		}
	}
}
