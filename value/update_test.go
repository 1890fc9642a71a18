package value_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// add returns a change that adds n, and counts its calls.
func add(n int, calls *int) func(int, bool) (int, error) {
	return func(old int, exists bool) (int, error) {
		if *calls++; !exists && old != 0 {
			return 0, fmt.Errorf("the key is absent and old is %d", old)
		}
		return old + n, nil
	}
}

func update(w *world, change func(int, bool) (int, error), opts ...value.UpdateOption) (value.Reading[int], error) {
	ctx, cancel := context.WithTimeout(w.Context(), w.Patience())
	defer cancel()
	return value.Update(ctx, w.Store, w.key, value.JSONCodec[int](), change, opts...)
}

// wantUpdated checks what an Update has returned, and what the key holds.
func (w *world) wantUpdated(r value.Reading[int], err error, want int, at kv.Revision) {
	w.Helper()
	if err != nil || r.Value != want || r.Revision != at {
		w.broken("Update returned %d of revision %d and the error %v, want %d of revision %d", r.Value, r.Revision, err, want, at)
	}
	w.wantStored(fmt.Sprint(want), at)
}

// wantStored checks what the key holds. A revision of zero means that the key is absent.
func (w *world) wantStored(want string, at kv.Revision) {
	w.Helper()
	got, err := w.backend.Get(w.Context(), kv.Key(w.key))
	w.must(err)
	switch {
	case len(got.Entries) == 0 && at != 0:
		w.broken("the key is absent, want %q of revision %d", want, at)
	case len(got.Entries) != 0 && (string(got.Entries[0].Value) != want || got.Entries[0].ModRevision != at):
		w.broken("the key holds %q of revision %d, want %q of revision %d", got.Entries[0].Value, got.Entries[0].ModRevision, want, at)
	}
}

func (w *world) wantErr(err error, want ...error) {
	w.Helper()
	for _, want := range want {
		if !errors.Is(err, want) {
			w.broken("the error is %q, want one that matches %q", err, want)
		}
	}
	if errors.Is(err, value.ErrOutcomeUnknown) != errors.Is(errors.Join(want...), value.ErrOutcomeUnknown) {
		w.broken("the error says that the outcome is known, or that it is unknown, and is wrong: %q", err)
	}
}

func TestUpdateCreatesTheKeyAndThenChangesIt(t *testing.T) {
	each(t, "Update writes what change returns, and returns it with its revision", func(w *world) {
		calls := 0
		before := w.putOther()
		r, err := update(w, add(1, &calls))
		w.wantUpdated(r, err, 1, before+1)
		r, err = update(w, add(1, &calls))
		w.wantUpdated(r, err, 2, before+2)
		if calls != 2 {
			w.broken("change was called %d times for two updates", calls)
		}
		if r.Confirmed.IsZero() || r.Age() < 0 {
			w.broken("the reading was confirmed at %v", r.Confirmed)
		}
	})
}

func TestUpdateIsReadByAtLeast(t *testing.T) {
	each(t, "the revision of an Update can be passed to AtLeast", func(w *world) {
		watcher := watch(w, value.New(w.Store, w.key, value.JSON[int]))
		r, err := update(w, func(int, bool) (int, error) { return 7, nil })
		w.must(err)
		watcher.Gives(7, value.AtLeast[int](r.Revision))
	})
}

func TestUpdateWritesNothingWhereNothingChanges(t *testing.T) {
	each(t, "if change returns a value with the same encoding as old, nothing is written", func(w *world) {
		at := w.put(" 7\n") // the codec would write it differently
		w.putOther()
		calls := 0
		r, err := update(w, add(0, &calls))
		if err != nil || r.Value != 7 || r.Revision != at {
			w.broken("Update returned %d of revision %d and the error %v, want 7 of revision %d", r.Value, r.Revision, err, at)
		}
		w.wantStored(" 7\n", at)
		if n := w.Counts().Puts; n != 0 {
			w.broken("%d writes were made", n)
		}
	})
}

func TestUpdateStartsAgainWhenTheKeyHasChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		before string // the value of the key before
		other  func(w *world)
		want   int
	}{
		{"put", "10", func(w *world) { w.put("20") }, 21},
		{"put of the same value", "10", func(w *world) { w.put("10") }, 11},
		{"put of the value that Update writes", "10", func(w *world) { w.put("11") }, 12},
		{"deletion", "10", func(w *world) { w.delete() }, 1},
		{"deletion and creation", "10", func(w *world) { w.delete(); w.put("30") }, 31},
		{"creation", "", func(w *world) { w.put("40") }, 41},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, "no change of another writer is overwritten: change is called again with the new value", func(w *world) {
				if c.before != "" {
					w.put(c.before)
				}
				h := w.Hold(fault.Puts)
				calls := 0
				var r value.Reading[int]
				var err error
				done := make(chan struct{})
				go func() {
					defer close(done)
					r, err = update(w, add(1, &calls))
				}()
				w.Held(h)
				c.other(w)
				last := w.putOther()
				h.Release()
				<-done
				w.wantUpdated(r, err, c.want, last+1)
				if calls != 2 {
					w.broken("change was called %d times, want two", calls)
				}
			})
		})
	}
}

func TestChangeMayChangeOldItself(t *testing.T) {
	inBubble(t, "a change of the old value in place is written", func(w *world) {
		w.put("abc")
		r, err := value.Update(w.Context(), w.Store, w.key, value.BytesCodec(), func(old []byte, _ bool) ([]byte, error) {
			old[0] = 'x'
			return old, nil
		})
		w.must(err)
		w.wantStored("xbc", r.Revision)

		w.put(`{"a":1}`)
		m, err := value.Update(w.Context(), w.Store, w.key, value.JSONCodec[map[string]int](), func(old map[string]int, _ bool) (map[string]int, error) {
			old["b"] = 2
			return old, nil
		})
		w.must(err)
		w.wantStored(`{"a":1,"b":2}`, m.Revision)
	})
}
