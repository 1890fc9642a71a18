package value_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// withKey runs a test of one key in a bubble. put writes the key. Without a value, it deletes the key.
func withKey(t *testing.T, test func(t *testing.T, store *memory.Store, put func(v ...string))) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		test(t, store, func(v ...string) {
			t.Helper()
			var err error
			if len(v) == 0 {
				_, err = store.Delete(t.Context(), "/a")
			}
			for _, v := range v {
				_, err = store.Put(t.Context(), "/a", []byte(v))
			}
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		})
	})
}

// tried returns what TryGet returns, as text.
func tried(w *value.Watcher[string], opts ...value.GetOption[string]) string {
	synctest.Wait()
	v, err := w.TryGet(opts...)
	switch {
	case errors.Is(err, value.ErrNothingNew):
		return "nothing new"
	case errors.Is(err, value.ErrDeleted):
		return "deleted"
	case errors.Is(err, kv.ErrNotFound):
		return "absent"
	case err != nil:
		return "an error"
	}
	return v
}

func TestReportAbsenceMakesAbsenceTheFirstAnswer(t *testing.T) {
	for _, every := range []bool{false, true} {
		withKey(t, func(t *testing.T, store *memory.Store, put func(...string)) {
			opts := []value.WatchOption{value.ReportAbsence()}
			if every {
				opts = append(opts, value.EveryUpdate())
			}
			v := value.New(store, "/a", strict)
			w := v.Watch(opts...)
			defer w.Close()
			if _, err := w.Get(t.Context()); !errors.Is(err, kv.ErrNotFound) || errors.Is(err, value.ErrDeleted) {
				t.Errorf("the first Get of an absent key = %v, want an error that matches ErrNotFound", err)
			}
			for i, want := range []string{"nothing new", "one", "nothing new", "deleted", "nothing new"} {
				switch i {
				case 1:
					put("one")
				case 3:
					put()
				}
				if got := tried(w); got != want {
					t.Errorf("every: %v, step %d: %s, want %s", every, i, got, want)
				}
			}
			put("two")
			other := v.Watch(opts...)
			defer other.Close()
			if got := tried(other); got != "two" {
				t.Errorf("the first Get of a key that exists: %s, want its value", got)
			}
		})
	}
}

func TestPreviousIsTheValueBefore(t *testing.T) {
	withKey(t, func(t *testing.T, store *memory.Store, put func(...string)) {
		v := value.New(store, "/a", strict)
		w, plain := v.Watch(value.KeepPrevious()), v.Watch()
		defer w.Close()
		defer plain.Close()
		for _, step := range []struct {
			put      []string
			want     string
			previous string
		}{
			{[]string{"one"}, "one", "none"},
			{[]string{"two", "three"}, "three", "one"},
			{[]string{"bad"}, "an error", "three"},
			{[]string{"four"}, "four", "three"},
			{nil, "deleted", "four"},
			{[]string{"five"}, "five", "none"},
			{[]string{"six"}, "six", "five"},
		} {
			put(step.put...)
			got := tried(w)
			previous, ok := w.Previous()
			if !ok {
				previous = "none"
			}
			if got != step.want || previous != step.previous {
				t.Errorf("after %q: %s with the previous value %s, want %s with %s", step.put, got, previous, step.want, step.previous)
			}
			tried(plain)
			if _, ok := plain.Previous(); ok {
				t.Errorf("a watcher without KeepPrevious has a previous value")
			}
		}
	})
}

func TestIfChangedSkipsEqualValues(t *testing.T) {
	withKey(t, func(t *testing.T, store *memory.Store, put func(...string)) {
		w := value.New(store, "/a", strict).Watch()
		defer w.Close()
		distinct := value.IfChanged(func(a, b string) bool { return a == b })
		for _, step := range []struct {
			put  []string
			want string
		}{
			{[]string{"one"}, "one"},
			{[]string{"one"}, "nothing new"},
			{[]string{"two", "one"}, "nothing new"},
			{[]string{"two"}, "two"},
			{nil, "deleted"},
			{[]string{"two"}, "two"},
			{[]string{"bad"}, "an error"},
			{[]string{"two"}, "two"},
			{[]string{"two"}, "nothing new"},
		} {
			put(step.put...)
			if got := tried(w, distinct); got != step.want {
				t.Errorf("after %q: %s, want %s", step.put, got, step.want)
			}
		}
	})
}

func TestIfChangedComparesTheViewThatIsReturned(t *testing.T) {
	onMap(t, func(b *mapBed) {
		w := b.watch()
		b.put("/m/a", "1")
		b.put("/m/b", "1")
		b.wantChanges(w, "/m/a: none -> 1", "/m/b: none -> 1")
		b.put("/m/a", "1")
		synctest.Wait()
		var compared []string
		w.TryGet(value.IfChanged(func(_, v value.View[string]) bool {
			compared = changes(v)
			return true
		}))
		if d := cmp.Diff([]string{"/m/a: 1 -> 1"}, compared); d != "" {
			t.Errorf("promised: Changes are those since the View before; the changes of the View that is compared (-want +got):\n%s", d)
		}
	})
}

func TestIfChangedReturnsAValueThatFollowsWhatAtLeastHasSkipped(t *testing.T) {
	for name, between := range map[string][]string{"a deletion": nil, "a bad value": {"bad"}} {
		withKey(t, func(t *testing.T, store *memory.Store, put func(...string)) {
			put("one")
			w := value.New(store, "/a", strict).Watch(value.EveryUpdate())
			defer w.Close()
			tried(w)
			put(between...)
			rev, err := store.Put(t.Context(), "/a", []byte("one"))
			if err != nil {
				t.Fatal(err)
			}
			if got := tried(w, value.AtLeast[string](rev), value.IfChanged(func(a, b string) bool { return a == b })); got != "one" {
				t.Errorf("promised: a value that follows %s is returned in any case; TryGet: %s", name, got)
			}
		})
	}
}

func TestAValueWhoseConditionPanicsIsSkipped(t *testing.T) {
	for name, opts := range map[string][]value.WatchOption{"the newest": nil, "every update": {value.EveryUpdate()}} {
		for what, panics := range map[string]value.GetOption[string]{
			"Where":     value.Where(func(string) bool { panic("no") }),
			"IfChanged": value.IfChanged(func(_, _ string) bool { panic("no") }),
		} {
			withKey(t, func(t *testing.T, store *memory.Store, put func(...string)) {
				put("one")
				w := value.New(store, "/a", strict).Watch(opts...)
				defer w.Close()
				if got := tried(w); got != "one" {
					t.Fatalf("TryGet: %s", got)
				}
				put("two")
				synctest.Wait()
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("%s of %s: promised: Get panics as its function does", what, name)
						}
					}()
					w.TryGet(panics)
				}()
				put("three")
				if got := tried(w); got != "three" {
					t.Errorf("%s of %s: promised: the value counts as skipped, and three comes next; TryGet: %s", what, name, got)
				}
			})
		}
	}
}

func TestQuietWaitsForTheEndOfABurst(t *testing.T) {
	withKey(t, func(t *testing.T, store *memory.Store, put func(...string)) {
		v := value.New(store, "/a", strict)
		put("0")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		began := time.Now()
		type seen struct {
			at time.Duration
			v  string
		}
		// One writer, and two readers: one by Get, one by a channel.
		var byGet, byChan []seen
		go func() {
			w := v.Watch(value.Quiet(time.Second, 4900*time.Millisecond))
			defer w.Close()
			for s, err := range w.Updates(ctx) {
				if err == nil {
					byGet = append(byGet, seen{time.Since(began), s})
				}
			}
		}()
		go func() {
			for r := range v.Chan(ctx, value.Quiet(time.Second, 4900*time.Millisecond)) {
				byChan = append(byChan, seen{time.Since(began), r.Value})
			}
		}()
		synctest.Wait()
		time.Sleep(10 * time.Second)
		for i := range 3 { // a short burst
			put(fmt.Sprint("a", i))
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(10*time.Second - 1500*time.Millisecond)
		for i := range 16 { // a burst that is longer than the longest wait
			put(fmt.Sprint("b", i))
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		stop()
		synctest.Wait()
		want := []seen{
			{0, "0"},
			{12 * time.Second, "a2"},
			{24900 * time.Millisecond, "b9"},
			{28500 * time.Millisecond, "b15"},
		}
		for name, got := range map[string][]seen{"Get": byGet, "Chan": byChan} {
			if d := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); d != "" {
				t.Errorf("what %s returned (-want +got):\n%s", name, d)
			}
		}
	})
}

func TestLatestKeepsTheValueAfterADeletionOnRequest(t *testing.T) {
	withKey(t, func(t *testing.T, store *memory.Store, put func(...string)) {
		v := value.New(store, "/a", strict, value.WithLatestAfterDeletion())
		stop := v.KeepCurrent()
		defer stop()
		for _, step := range []struct {
			put  []string
			want string
		}{{[]string{"one"}, "one"}, {nil, "one"}, {[]string{"two"}, "two"}, {nil, "two"}} {
			put(step.put...)
			if r, ok := v.Latest(); !ok || r.Value != step.want {
				t.Errorf("after %q: Latest = %q, %v, want %q", step.put, r.Value, ok, step.want)
			}
		}
	})
}

func TestKeepCurrentNeedsNoReader(t *testing.T) {
	withKey(t, func(t *testing.T, store *memory.Store, put func(...string)) {
		v := value.New(store, "/a", strict)
		put("one")
		if _, ok := v.Latest(); ok {
			t.Error("Latest has a value before anything was read")
		}
		stop := v.KeepCurrent()
		put("two")
		if r, ok := v.Latest(); !ok || r.Value != "two" {
			t.Errorf("Latest = %q, %v, want the newest", r.Value, ok)
		}
		stop()
		stop()
		put("three")
		if r, _ := v.Latest(); r.Value != "two" || v.Status().Watchers != 0 {
			t.Errorf("after stop: Latest = %q, and %d watchers are open", r.Value, v.Status().Watchers)
		}
	})
}

func TestAValuesUpdatesCloseTheirWatcher(t *testing.T) {
	withKey(t, func(t *testing.T, store *memory.Store, put func(...string)) {
		v := value.New(store, "/a", strict)
		put("one")
		n := 0
		for s, err := range v.Updates(t.Context(), value.EveryUpdate()) {
			if n++; err != nil || s != []string{"", "one", "two", "three"}[n] {
				t.Fatalf("update %d is %q, %v", n, s, err)
			}
			if n == 1 {
				put("two", "three")
			}
			if n == 3 {
				break
			}
		}
		if n := v.Status().Watchers; n != 0 {
			t.Errorf("%d watchers are open when the loop has ended", n)
		}
	})
}
