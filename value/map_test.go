package value_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// shown is what a View shows, as text.
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

// changes are those of a View, as text, in order.
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
			t.Errorf("Status().BadValue = %v after all was mended", err)
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

// A random program over a Map under faults. The judge knows what the range held at each revision.
func TestMapsUnderRandomFaults(t *testing.T) {
	runs := uint64(150)
	if testing.Short() {
		runs = 25
	}
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 12))
			mapUnderFaults(t, seed, random)
		})
		if t.Failed() {
			return
		}
	}
}

func mapUnderFaults(t *testing.T, seed uint64, random *rand.Rand) {
	ctx, back := t.Context(), memory.New()
	store := fault.New(back)
	inRange := kv.Prefix("/m/")
	m := value.NewMap(store, inRange, strict,
		value.WithBacklog(1+random.IntN(20)), value.WithCheck(time.Duration(random.IntN(2))*time.Second))
	held := map[kv.Revision]map[string]string{} // what is in the range at each revision, by the store itself
	look := func() {
		s, err := back.Get(ctx, inRange)
		if err != nil {
			t.Fatal(err)
		}
		c := map[string]string{}
		for _, e := range s.Entries {
			c[e.Key] = string(e.Value)
		}
		held[s.Revision] = c
	}
	look()
	type reader struct {
		*value.Watcher[value.View[string]]
		every bool
		seen  map[string]string
		at    kv.Revision
		any   bool
		gap   bool
	}
	var readers []*reader
	for range 1 + random.IntN(3) {
		r := &reader{every: random.IntN(2) == 0}
		if r.every {
			r.Watcher = m.Watch(value.EveryUpdate())
		} else {
			r.Watcher = m.Watch()
		}
		defer r.Close()
		readers = append(readers, r)
	}
	take := func(r *reader) bool {
		v, err := r.TryGet()
		switch {
		case errors.Is(err, value.ErrNothingNew):
			return false
		case err != nil:
			if _, gap := errors.AsType[*value.GapError](err); !gap || !r.every {
				t.Fatalf("seed %d: %v", seed, err)
			}
			r.gap = true
			return true
		}
		raw := map[string]string{}
		for key, item := range v.All() {
			raw[key] = item.Value
			if item.Err != nil {
				raw[key] = held[v.Revision()][key] // it is bad, which the values' own tests are about
				if !strings.HasPrefix(raw[key], "bad") {
					t.Fatalf("seed %d: %q at revision %d is %v, and held %q", seed, key, v.Revision(), item.Err, raw[key])
				}
			}
		}
		if d := cmp.Diff(held[v.Revision()], raw); d != "" {
			t.Fatalf("seed %d: M2, the View at revision %d is not what the range held (-want +got):\n%s", seed, v.Revision(), d)
		}
		if r.any && v.Revision() <= r.at {
			t.Fatalf("seed %d: V5, revision %d after revision %d", seed, v.Revision(), r.at)
		}
		sum := maps.Clone(r.seen)
		if sum == nil {
			sum = map[string]string{}
		}
		for c := range v.Changes() {
			old, had := sum[c.Key]
			if (c.Old != nil) != had || had && textOf(c.Old) != old {
				t.Fatalf("seed %d: M3, the old value of %q is %s, and the View before had %q", seed, c.Key, textOf(c.Old), old)
			}
			if delete(sum, c.Key); c.New != nil {
				sum[c.Key] = textOf(c.New)
			}
		}
		if d := cmp.Diff(shown(v), sum); d != "" {
			t.Fatalf("seed %d: M3, the changes do not add up to the View at revision %d (-view +sum):\n%s", seed, v.Revision(), d)
		}
		if r.every && r.any && !r.gap {
			for revision, c := range held {
				if revision > r.at && revision < v.Revision() && !maps.Equal(c, held[r.at]) && !maps.Equal(c, raw) {
					t.Fatalf("seed %d: M8, revision %d is missing between %d and %d", seed, revision, r.at, v.Revision())
				}
			}
		}
		r.seen, r.at, r.any, r.gap = shown(v), v.Revision(), true, false
		return true
	}
	key := func() string { return fmt.Sprintf("/m/%d", random.IntN(8)) }
	for step := range 60 {
		switch op := random.IntN(14); op {
		case 0, 1, 2, 3:
			back.Put(ctx, key(), []byte(fmt.Sprint("v", step)))
		case 4:
			back.Put(ctx, key(), []byte(fmt.Sprint("bad", step)))
		case 5:
			back.Delete(ctx, key())
		case 6:
			ops := []kv.Op{}
			for i := range 2 + random.IntN(4) {
				if k := fmt.Sprintf("/m/%d", i); random.IntN(3) == 0 {
					ops = append(ops, kv.DeleteOp(k))
				} else {
					ops = append(ops, kv.PutOp(k, []byte(fmt.Sprint("t", step))))
				}
			}
			back.Commit(ctx, ops...)
		case 7:
			back.Put(ctx, "/n", nil)
		case 8:
			store.Cut()
		case 9, 10:
			store.Heal()
		case 11:
			store.EndStreams(kv.ErrUnavailable)
		case 12:
			s, _ := back.Get(ctx, kv.Key("/n"))
			back.Compact(ctx, s.Revision-kv.Revision(random.IntN(3)))
		case 13:
			time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
		}
		look()
		if random.IntN(2) == 0 {
			synctest.Wait()
		}
		for _, r := range readers {
			if random.IntN(3) == 0 {
				take(r)
			}
		}
	}
	store.Heal()
	time.Sleep(time.Hour)
	synctest.Wait()
	now, err := back.Get(ctx, inRange)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readers {
		for nothing := 0; nothing < 2; synctest.Wait() { // a TryGet that finds nothing may have the store's history read
			nothing++
			if take(r) {
				nothing = 0
			}
		}
		if !r.any || !maps.Equal(held[r.at], held[now.Revision]) {
			t.Fatalf("seed %d: a watcher ends with the range as at revision %d, and that of %d differs (every: %v, status %+v)", seed, r.at, now.Revision, r.every, m.Status())
		}
	}
}
