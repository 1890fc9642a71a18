package value_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
	"github.com/watchkv/watchkv/value/lastknown"
)

// lastBed is a store, the records of it, and the log of the Values on top.
type lastBed struct {
	*testing.T
	*fault.Store
	memory *memory.Store
	kept   value.LastKnown
	log    logbook
}

const lastAfter = 5 * time.Second

// onLastKnown runs a test in a bubble. The records are in files.
func onLastKnown(t *testing.T, test func(b *lastBed)) {
	t.Helper()
	dir := lastknown.NewDir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		test(&lastBed{T: t, Store: fault.New(store), memory: store, kept: lastknown.Of(dir, []byte("here"))})
	})
}

func (b *lastBed) value(opts ...value.Option) *value.Value[int] {
	return value.New(b.Store, "/a", value.JSON[int], append([]value.Option{value.WithLastKnown(b.kept, lastAfter), b.log.option()}, opts...)...)
}

func (b *lastBed) put(text string) kv.Revision {
	b.Helper()
	rev, err := b.memory.Put(b.Context(), "/a", []byte(text))
	if err != nil {
		b.Fatal(err)
	}
	return rev
}

// runs simulates one run of a program: it gets this value, and ends a moment later.
func (b *lastBed) runs(want int) {
	b.Helper()
	w := b.value().Watch()
	defer w.Close()
	b.gives(w, want)
	time.Sleep(2 * time.Second)
}

func (b *lastBed) gives(w *value.Watcher[int], want int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	if got, err := w.Get(ctx); err != nil || got != want {
		b.Fatalf("Get = %d, %v, want %d", got, err, want)
	}
}

func (b *lastBed) isBad(w *value.Watcher[int]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	if got, err := w.Get(ctx); !errors.As(err, new(*value.DecodeError)) {
		b.Fatalf("Get = %d, %v, want a DecodeError", got, err)
	}
}

func (b *lastBed) nothing(w *value.Watcher[int]) {
	b.Helper()
	synctest.Wait()
	if got, err := w.TryGet(); !errors.Is(err, value.ErrNothingNew) {
		b.Fatalf("TryGet = %d, %v, want nothing new", got, err)
	}
}

// isMarked requires that Latest and Status agree about whether the value is the last known one.
func (b *lastBed) isMarked(v *value.Value[int], want int, marked bool) {
	b.Helper()
	r, ok := v.Latest()
	if s := v.Status(); !ok || r.Value != want || r.LastKnown != marked || s.LastKnown != marked {
		b.Fatalf("promised: the last known value is marked: %t\nhappened: Latest = %+v, %t; Status = %+v", marked, r, ok, s)
	}
}

func TestLastKnownIsUsedWhenTheStoreDoesNotAnswer(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		rev := b.put("7")
		confirmed := time.Now()
		b.runs(7)
		time.Sleep(time.Hour)
		b.Cut()
		v := b.value()
		w := v.Watch()
		defer w.Close()
		time.Sleep(lastAfter - time.Millisecond)
		b.nothing(w)
		if _, ok := v.Latest(); ok || v.Status().LastKnown {
			t.Errorf("promised: the last known value is not used before its time; Status = %+v", v.Status())
		}
		time.Sleep(time.Millisecond)
		b.gives(w, 7)
		b.isMarked(v, 7, true)
		if r, _ := v.Latest(); !r.Confirmed.Equal(confirmed) || r.Revision != rev || w.Revision() != rev {
			t.Errorf("promised: a reading has its time, %v, and its revision, %d; it is %+v", confirmed, rev, r)
		}
		b.nothing(w)
		other := v.Watch()
		defer other.Close()
		b.gives(other, 7)

		b.Heal()
		time.Sleep(time.Minute)
		b.isMarked(v, 7, false)
		b.nothing(w) // the store has the same value
		b.put("8")
		b.gives(w, 8)
		b.gives(other, 8)
		b.isMarked(v, 8, false)
		if b.log.count("using what was last known") != 1 || b.log.count("not used any more") != 1 {
			t.Errorf("the log says:\n%s", &b.log)
		}
	})
}

func TestLastKnownEndsAtTheFirstAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		answers func(b *lastBed)
		then    func(b *lastBed, w *value.Watcher[int])
	}{
		"a newer value": {func(b *lastBed) { b.put("8") }, func(b *lastBed, w *value.Watcher[int]) { b.gives(w, 8) }},
		"a deletion": {func(b *lastBed) { b.memory.Delete(b.Context(), "/a") }, func(b *lastBed, w *value.Watcher[int]) {
			if _, err := w.Get(b.Context()); !errors.Is(err, value.ErrDeleted) {
				b.Errorf("Get: %v, want ErrDeleted", err)
			}
		}},
		"another store, whose revision is lower": {func(b *lastBed) {
			empty := memory.New().Backup()
			if err := b.memory.Restore(empty); err != nil {
				b.Fatal(err)
			}
			b.put("9")
		}, func(b *lastBed, w *value.Watcher[int]) { b.gives(w, 9) }},
		"a refusal": {func(b *lastBed) { b.Fail(-1, kv.ErrPermission, fault.Gets) }, func(b *lastBed, w *value.Watcher[int]) {
			if _, err := w.Get(b.Context()); !errors.Is(err, kv.ErrPermission) {
				b.Errorf("Get: %v, want ErrPermission", err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			onLastKnown(t, func(b *lastBed) {
				b.put("0")
				b.put("0")
				b.put("7")
				b.runs(7)
				b.Cut()
				v := b.value()
				w := v.Watch()
				defer w.Close()
				b.gives(w, 7)
				b.isMarked(v, 7, true)
				c.answers(b)
				b.Heal()
				time.Sleep(15 * time.Second)
				c.then(b, w)
				if r, _ := v.Latest(); r.LastKnown || v.Status().LastKnown {
					t.Errorf("promised: the last known value is not used after an answer; Latest = %+v, Status = %+v", r, v.Status())
				}
			})
		})
	}
}

func TestLastKnownReplacesABadNewestValueAtARestart(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.runs(7)
		bad := b.put("bad")
		v := b.value()
		w := v.Watch()
		defer w.Close()
		b.gives(w, 7)
		b.isMarked(v, 7, true)
		if s := v.Status(); s.BadValue == nil {
			t.Errorf("promised: a bad newest value is in Status; it is %+v", s)
		}
		if r, _ := v.Latest(); r.ModRevision != bad {
			t.Errorf("promised: a reading has the condition for a write; it is %+v, and the key is at %d", r, bad)
		}
		b.isBad(w)
		b.put("8")
		b.gives(w, 8)
		b.isMarked(v, 8, false)
		b.put("bad")
		b.isBad(w)
		b.isMarked(v, 8, false) // this program has received 8 from the store
		late := v.Watch()
		defer late.Close()
		b.isBad(late)
		if b.log.count("the newest value is bad; using what was last known") != 1 {
			t.Errorf("the log says:\n%s", &b.log)
		}
	})
}

func TestLastKnownDoesNotReplaceAKeyThatWasDeletedSince(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.runs(7)
		b.memory.Delete(b.Context(), "/a")
		b.put("bad")
		v := b.value()
		w := v.Watch()
		defer w.Close()
		b.isBad(w)
		if r, ok := v.Latest(); ok {
			t.Errorf("promised: the last known value is not used after the key was deleted; Latest = %+v", r)
		}
	})
}

func TestLastKnownOfAnotherClusterIsNotUsed(t *testing.T) {
	dir := lastknown.NewDir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		b := &lastBed{T: t, memory: memory.New(), kept: lastknown.Of(dir, []byte("there"))}
		b.Store = fault.New(b.memory)
		b.put("7")
		b.runs(7)
		b.Cut()
		b.kept = lastknown.Of(dir, []byte("here"))
		v := b.value()
		w := v.Watch()
		defer w.Close()
		time.Sleep(time.Hour)
		b.nothing(w)
		if s := v.Status(); !errors.Is(s.LastKnownError, lastknown.ErrForeign) || b.log.count("cannot be loaded") != 1 {
			t.Errorf("promised: a record that cannot be used is in Status and in the log; Status = %+v, the log:\n%s", s, &b.log)
		}
		b.Heal()
		b.gives(w, 7)
		time.Sleep(2 * time.Second)
		if s := v.Status(); s.LastKnownError != nil {
			t.Errorf("promised: such a record is replaced once the store answers; Status = %+v", s)
		}
	})
}

func TestLastKnownIsNotUsedWhereItWouldBreakAPromise(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.runs(7)
		b.Cut()
		v := b.value()
		every, newest := v.Watch(value.EveryUpdate()), v.Watch()
		defer every.Close()
		defer newest.Close()
		time.Sleep(time.Minute)
		b.nothing(every)
		if _, err := newest.TryGet(value.AtLeast[int](1)); !errors.Is(err, value.ErrNothingNew) {
			t.Errorf("TryGet of a revision: %v, want nothing new", err)
		}
		b.gives(newest, 7)

		time.Sleep(time.Hour)
		fresh := b.value(value.WithMaxStaleness(time.Minute)).Watch()
		defer fresh.Close()
		if got, err := fresh.Get(b.Context()); !errors.Is(err, value.ErrStale) {
			t.Errorf("promised: no value older than the limit is returned; Get = %d, %v", got, err)
		}
	})
}

// The last known value is not too old when it is first used.
func TestLastKnownGrowsTooOld(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.runs(7)
		b.Cut()
		v := b.value(value.WithMaxStaleness(20 * time.Second))
		first := v.Watch()
		defer first.Close()
		b.gives(first, 7)
		time.Sleep(15 * time.Second)
		second := v.Watch()
		defer second.Close()
		if got, err := second.Get(b.Context()); !errors.Is(err, value.ErrStale) {
			r, _ := v.Latest()
			t.Errorf("promised: no value older than the limit of 20s is returned; Get = %d, %v, confirmed %v ago", got, err, r.Age())
		}
	})
}

func TestLastKnownThatIsTooOldDoesNotReplaceABadValue(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.runs(7)
		b.put("bad")
		time.Sleep(time.Hour)
		v := b.value(value.WithMaxStaleness(time.Minute))
		w := v.Watch()
		defer w.Close()
		b.isBad(w)
		if r, ok := v.Latest(); ok || v.Status().LastKnown {
			t.Errorf("promised: a value that the store confirmed an hour ago is not used; Latest = %+v, Status = %+v", r, v.Status())
		}
	})
}

func TestLastKnownIsNotTakenFromClosedWatchers(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.runs(7)
		b.Cut()
		v := b.value()
		w := v.Watch()
		b.gives(w, 7)
		w.Close()
		b.put("8")
		time.Sleep(time.Hour)
		w = v.Watch()
		defer w.Close()
		if got, err := w.TryGet(); !errors.Is(err, value.ErrNothingNew) {
			t.Errorf("promised: the last known value is returned if the store has not answered these watchers; TryGet = %d, %v", got, err)
		}
		b.Heal()
		b.gives(w, 8)
	})
}

// timeless is a LastKnown whose records have no time.
type timeless struct{ value.LastKnown }

func (k timeless) Load(ctx context.Context, r kv.Range) (kv.Snapshot, time.Time, error) {
	s, _, err := k.LastKnown.Load(ctx, r)
	return s, time.Time{}, err
}

func TestLastKnownOfAnUnknownTimeIsMarked(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.runs(7)
		b.kept = timeless{b.kept}
		b.Cut()
		v := b.value()
		w := v.Watch()
		defer w.Close()
		b.gives(w, 7)
		b.isMarked(v, 7, true)
		b.Heal()
		time.Sleep(time.Minute)
		b.isMarked(v, 7, false)
	})
}

func TestLastKnownOfADeletedKeyIsItsAbsence(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.runs(7)
		w := b.value().Watch()
		b.gives(w, 7)
		b.memory.Delete(b.Context(), "/a")
		w.Get(b.Context())
		w.Close()
		b.Cut()
		v := b.value()
		w = v.Watch()
		defer w.Close()
		withDefault := b.value(value.WithDefault(1)).Watch()
		defer withDefault.Close()
		time.Sleep(time.Minute)
		b.nothing(w)
		b.gives(withDefault, 1)
	})
}

func TestAnInvalidLastKnownIsRejected(t *testing.T) {
	for name, v := range map[string]*value.Value[int]{
		"nil":      value.New(memory.New(), "/a", value.JSON[int], value.WithLastKnown(nil, time.Second)),
		"negative": value.New(memory.New(), "/a", value.JSON[int], value.WithLastKnown(new(memo), -1)),
	} {
		if _, err := v.Get(t.Context()); !value.IsFinal(err) {
			t.Errorf("%s: promised: a wrong argument is refused; Get: %v", name, err)
		}
	}
}

// unloaded is a LastKnown that loads nothing until the context ends.
type unloaded struct{ value.LastKnown }

func (unloaded) Load(ctx context.Context, _ kv.Range) (kv.Snapshot, time.Time, error) {
	<-ctx.Done()
	return kv.Snapshot{}, time.Time{}, ctx.Err()
}

// The first answer of the store may wait for what was last known.
func TestCloseDoesNotWaitForWhatIsLoaded(t *testing.T) {
	for name, open := range map[string]func(b *lastBed, known value.Option) func() error{
		"a Map": func(b *lastBed, known value.Option) func() error {
			return value.NewMap(b.Store, kv.Prefix("/"), strict, known).Watch().Close
		},
		"a bad value": func(b *lastBed, known value.Option) func() error {
			return value.New(b.Store, "/a", strict, known).Watch().Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			onLastKnown(t, func(b *lastBed) {
				b.put("bad")
				closeIt := open(b, value.WithLastKnown(unloaded{b.kept}, time.Hour))
				time.Sleep(time.Minute)
				began := time.Now()
				closeIt()
				if took := time.Since(began); took > 0 {
					t.Errorf("promised: Close ends the Value's use of the store\nhappened: it waited %v for a Load that ends with its context", took)
				}
			})
		})
	}
}

// A machine without a clock of its own starts with a time before that of the record.
func TestLastKnownOfTheFutureIsOfAnUnknownAge(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		b.Cut()
		s, err := b.memory.Get(b.Context(), kv.Key("/a"))
		if err != nil {
			t.Fatal(err)
		}
		b.kept = record{s, time.Now().Add(time.Hour)}
		v := b.value(value.WithMaxStaleness(time.Minute))
		w := v.Watch()
		defer w.Close()
		if got, err := w.Get(b.Context()); !errors.Is(err, value.ErrStale) {
			t.Errorf("promised: a value that the store confirmed longer ago than a minute is not used\nhappened: one was used whose record is an hour ahead of the clock, so that nobody knows its age: Get = %d, %v", got, err)
		}
	})
}
