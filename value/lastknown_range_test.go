package value_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
	"github.com/watchkv/watchkv/value/lastknown"
)

func TestLastKnownOfAMap(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	onMap(t, func(b *mapBed) {
		last := lastknown.Of(dir, nil)
		decoded := 0
		open := func() *value.Map[string] {
			decoded = 0
			return value.NewMap(b.Store, kv.Prefix("/m/"), func(v []byte) (string, error) { decoded++; return strict(v) }, value.WithLastKnown(last, lastAfter))
		}
		b.put("/m/a", "1")
		b.put("/m/b", "1")
		b.m = open()
		w := b.watch()
		b.wantChanges(w, "/m/a: none -> 1", "/m/b: none -> 1")
		w.Close()

		b.Cut()
		b.m = open()
		w = b.watch()
		time.Sleep(time.Minute)
		b.wantChanges(w, "/m/a: none -> 1", "/m/b: none -> 1")
		if r, ok := b.m.Latest(); !ok || !r.LastKnown || !b.m.Status().LastKnown {
			t.Errorf("promised: the last known View is marked; Latest = %+v, %t", r, ok)
		}
		b.put("/m/b", "bad") // the key keeps its last good value
		b.put("/m/c", "1")
		b.Heal()
		time.Sleep(time.Minute)
		v, err := w.Get(b.Context())
		if err != nil {
			t.Fatal(err)
		}
		if item, _ := v.Get("/m/b"); item.Err == nil || item.Value != "1" || v.Len() != 3 {
			t.Errorf("promised: the item of a bad value has the last good value; it is %+v", item)
		}
		if decoded != 4 { // two that were known, and two that are new
			t.Errorf("promised: a last known value is not decoded twice; %d values were decoded, want 4", decoded)
		}
		w.Close()

		b.m = open() // the good value of a key outlives a restart while the newest is bad
		w = b.watch()
		if v, err = w.Get(b.Context()); err != nil {
			t.Fatal(err)
		}
		if item, _ := v.Get("/m/b"); item.Err == nil || item.Value != "1" {
			t.Errorf("promised: after a restart the item of a bad value has the last good value; it is %+v", item)
		}
	})
}

func TestLastKnownOfABundle(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		open := func() *value.Value[string] {
			return value.NewBundle(b.Store, kv.Prefix("/b/"), func(all []kv.Entry) (string, error) {
				text := ""
				for _, e := range all {
					text += string(e.Value)
				}
				return strict([]byte(text))
			}, value.WithLastKnown(b.kept, lastAfter))
		}
		want := func(w *value.Watcher[string], want string) {
			t.Helper()
			if got, err := w.Get(b.Context()); err != nil || got != want {
				t.Fatalf("Get = %q, %v, want %q", got, err, want)
			}
		}
		b.memory.Put(b.Context(), "/b/1", []byte("x"))
		b.memory.Put(b.Context(), "/b/2", []byte("y"))
		w := open().Watch()
		want(w, "xy")
		w.Close()
		b.Cut()
		w = open().Watch()
		want(w, "xy")
		w.Close()
		b.Heal()
		b.memory.Commit(b.Context(), kv.PutOp("/b/1", []byte("ba")), kv.PutOp("/b/2", []byte("d")))
		w = open().Watch()
		defer w.Close()
		want(w, "xy")
		if _, err := w.Get(b.Context()); !errors.As(err, new(*value.DecodeError)) {
			t.Errorf("Get: %v, want a DecodeError", err)
		}
	})
}

// record is a LastKnown that has always kept the same.
type record struct {
	kv.Snapshot
	confirmed time.Time
}

func (r record) Load(context.Context, kv.Range) (kv.Snapshot, time.Time, error) {
	return r.Snapshot, r.confirmed, nil
}

func (record) Save(context.Context, kv.Range, kv.Snapshot, time.Time) error { return nil }

func TestLastKnownOfAMapThatIsTooOldIsNotUsedForABadValue(t *testing.T) {
	onMap(t, func(b *mapBed) {
		b.put("/m/a", "1")
		good, err := b.Get(b.Context(), kv.Prefix("/m/"))
		if err != nil {
			t.Fatal(err)
		}
		b.put("/m/a", "bad")
		for _, c := range []struct {
			age  time.Duration
			want string
		}{{time.Hour - time.Second, "1"}, {time.Hour, ""}} {
			last := record{good, time.Now().Add(-c.age)}
			b.m = value.NewMap(b.Store, kv.Prefix("/m/"), strict, value.WithLastKnown(last, lastAfter), value.WithMaxStaleness(time.Hour))
			w := b.watch()
			v, err := w.Get(b.Context())
			if err != nil {
				t.Fatal(err)
			}
			if item, _ := v.Get("/m/a"); item.Err == nil || item.Value != c.want {
				t.Errorf("promised: of what the store confirmed %v ago %q is used, with a WithMaxStaleness of an hour\nhappened: %+v", c.age, c.want, item)
			}
			w.Close()
		}
	})
}

func TestTheLastKnownViewHasEveryKey(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("bad")
		if _, err := b.memory.Put(b.Context(), "/b", []byte("1")); err != nil {
			t.Fatal(err)
		}
		decode := strict
		view := func() value.View[string] {
			t.Helper()
			w := value.NewMap(b.Store, kv.Prefix("/"), func(v []byte) (string, error) { return decode(v) }, value.WithLastKnown(b.kept, lastAfter)).Watch()
			defer w.Close()
			v, err := w.Get(b.Context())
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		view()
		b.put("bad again")
		view()
		b.Cut()
		v := view()
		if item, ok := v.Get("/a"); !ok || item.Err == nil || item.ValueRevision != 0 || v.Len() != 2 {
			t.Errorf("promised: a View has every key, also one whose value was never good\nhappened: of 2 keys %d were last known; the item of the bad one is %+v, %t", v.Len(), item, ok)
		}
		decode = value.String // a version of the program that knows the value
		v = view()
		if item, _ := v.Get("/a"); item.Err != nil || item.Value != "bad again" {
			t.Errorf("promised: the last known value is the newest one if the program can decode it; it is %+v", item)
		}
	})
}

// The store was restored. It has a bad value again that came before the good one which was last known.
func TestTheItemOfABadValueHasNoGoodValueThatCameAfterIt(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("1")
		b.put("bad")
		backup := b.memory.Backup()
		b.put("undone")
		stop := b.strictMap().KeepCurrent()
		time.Sleep(time.Minute)
		stop()
		if err := b.memory.Restore(backup); err != nil {
			t.Fatal(err)
		}
		b.Cut()
		w := b.strictMap().Watch()
		defer w.Close()
		if v, err := w.Get(b.Context()); err != nil || v.Len() != 1 {
			t.Fatalf("what was last known: %+v, %v", v, err)
		}
		b.Heal()
		v, err := w.Get(b.Context())
		if err != nil {
			t.Fatal(err)
		}
		if item, _ := v.Get("/a"); item.Err == nil || item.ValueRevision >= item.ModRevision {
			t.Errorf("promised: ValueRevision is less than ModRevision if the newest value is bad; the item is %+v", item)
		}
	})
}
