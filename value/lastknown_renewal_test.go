package value_test

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// A program that is killed saves nothing. What it has saved must not be too old just because nobody has changed the value for long.
func TestWhatIsSavedDoesNotGetTooOldWhileTheStoreConfirmsIt(t *testing.T) {
	const limit = time.Hour
	for _, c := range []struct {
		name string
		keep func(b *lastBed, opts ...value.Option) (stop func())
	}{
		{"a value", func(b *lastBed, opts ...value.Option) func() { return b.value(opts...).KeepCurrent() }},
		{"a bundle", func(b *lastBed, opts ...value.Option) func() {
			return value.NewBundle(b.Store, kv.Prefix("/a"), func(all []kv.Entry) (string, error) { return strict(all[0].Value) },
				append(opts, value.WithLastKnown(b.kept, lastAfter))...).KeepCurrent()
		}},
		{"a Map", func(b *lastBed, opts ...value.Option) func() { return b.strictMap(opts...).KeepCurrent() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			onLastKnown(t, func(b *lastBed) {
				m := new(memo)
				b.kept = m
				b.put("7")
				stop := c.keep(b, value.WithMaxStaleness(limit))
				time.Sleep(100 * limit)
				killed := time.Now()
				m.loaded, m.time = m.last()
				saves := m.count()
				stop()
				if age := killed.Sub(m.time); age > limit/4+time.Minute {
					t.Fatalf("promised: the store confirms the value each minute, and every %v that is saved\nhappened: the time of what was saved last is %v ago", limit/4, age)
				}
				if most := 4*100 + 2; saves > most {
					t.Errorf("promised: an unchanged value is saved again every %v\nhappened: %d saves in %v, want at most %d", limit/4, saves, 100*limit, most)
				}

				b.Cut() // the store does not answer after the restart
				v := b.value(value.WithMaxStaleness(limit))
				w := v.Watch()
				defer w.Close()
				b.gives(w, 7)
				b.isMarked(v, 7, true)
			})
		})
	}
}

func TestWhatIsConfirmedOftenIsSavedOnceAMinute(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		m := new(memo)
		b.kept = m
		b.put("7")
		stop := b.value(value.WithMaxStaleness(2 * time.Second)).KeepCurrent()
		time.Sleep(time.Hour)
		saves := m.count()
		stop()
		if saves < 55 || saves > 62 {
			t.Errorf("promised: what the store confirms every second is saved once a minute\nhappened: %d saves in an hour", saves)
		}
	})
}

// The read after a restart confirms what was loaded, so that it need not be saved with another change.
func TestWhatWasLoadedAndIsConfirmedIsSavedWithItsNewTime(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		b.put("7")
		snapshot, err := b.memory.Get(b.Context(), kv.Key("/a"))
		if err != nil {
			t.Fatal(err)
		}
		m := &memo{loaded: snapshot, time: time.Now().Add(-40 * time.Minute)}
		b.kept = m
		stop := b.value(value.WithMaxStaleness(time.Hour)).KeepCurrent()
		time.Sleep(time.Minute)
		saved := m.count() > 0
		stop()
		if !saved {
			t.Errorf("promised: what was loaded is saved with the time at which the store has confirmed it again\nhappened: nothing was saved in the first minute")
		}
	})
}

// A clock that was ahead has left a time that is still to come. If that stayed, what was saved would be of an unknown age until then.
func TestWhatWasLoadedWithATimeToComeIsSavedWithItsTrueTime(t *testing.T) {
	for name, opts := range map[string][]value.Option{
		"with a limit":    {value.WithMaxStaleness(time.Hour)},
		"without a limit": nil,
	} {
		t.Run(name, func(t *testing.T) {
			onLastKnown(t, func(b *lastBed) {
				b.put("7")
				snapshot, err := b.memory.Get(b.Context(), kv.Key("/a"))
				if err != nil {
					t.Fatal(err)
				}
				m := &memo{loaded: snapshot, time: time.Now().Add(1000 * time.Hour)}
				b.kept = m
				stop := b.value(opts...).KeepCurrent()
				time.Sleep(time.Minute)
				saved := m.count() > 0
				stop()
				if len(opts) > 0 && !saved {
					t.Error("promised: what was loaded is saved with the time at which the store has confirmed it\nhappened: nothing was saved in the first minute")
				}
				if m.count() == 0 {
					t.Fatal("promised: the last Close saves with the time at which the store has confirmed it\nhappened: nothing was saved")
				}
				if _, at := m.last(); at.After(time.Now()) {
					t.Errorf("promised: the time of what is saved is that at which the store has confirmed it\nhappened: it is %v ahead", time.Until(at))
				}
			})
		})
	}
}

// While the newest value is bad, no read confirms the good one before it.
func TestWhatIsNotConfirmedIsNotSavedAgain(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		m := new(memo)
		b.kept = m
		b.put("7")
		defer b.value(value.WithMaxStaleness(time.Hour)).KeepCurrent()()
		time.Sleep(10 * time.Minute)
		b.put("bad")
		time.Sleep(time.Minute)
		before := m.count()
		time.Sleep(100 * time.Hour)
		if saves := m.count() - before; saves > 1 {
			t.Errorf("promised: a record is saved again only when the store has confirmed it\nhappened: %d saves while the newest value was bad", saves)
		}
	})
}

// One key that nobody mends must not take from a program what it knows of all other keys.
func TestAKeyThatIsBadForLongDoesNotMakeALastKnownMapTooOld(t *testing.T) {
	const limit = time.Hour
	onLastKnown(t, func(b *lastBed) {
		m := new(memo)
		b.kept = m
		b.put("1")
		if _, err := b.memory.Put(b.Context(), "/b", []byte("1")); err != nil {
			t.Fatal(err)
		}
		// restarted returns what a program shows that is killed now, and started again while the store does not answer.
		restarted := func() (v value.View[string], ok bool) {
			t.Helper()
			killed := &memo{}
			killed.loaded, killed.time = m.last()
			cut := b.Cut()
			defer cut.Remove()
			kept := b.kept
			b.kept = killed
			defer func() { b.kept = kept }()
			w := b.strictMap(value.WithMaxStaleness(limit)).Watch()
			defer w.Close()
			time.Sleep(2 * lastAfter)
			v, err := w.TryGet()
			return v, err == nil
		}
		defer b.strictMap(value.WithMaxStaleness(limit)).KeepCurrent()()
		time.Sleep(10 * time.Minute)
		b.put("bad")
		for _, c := range []struct {
			after time.Duration
			want  string // the good value of the bad key
		}{{limit / 2, "1"}, {limit/2 + 5*time.Minute, ""}, {100 * limit, ""}} {
			time.Sleep(c.after)
			v, ok := restarted()
			if !ok || v.Len() != 2 {
				t.Fatalf("promised: what is known of the other keys is used\nhappened: %v after the last sleep, %d keys of 2 are known, %t", c.after, v.Len(), ok)
			}
			if item, _ := v.Get("/b"); item.Err != nil || item.Value != "1" {
				t.Errorf("promised: the good key has its value\nhappened: %+v", item)
			}
			if item, _ := v.Get("/a"); item.Err == nil && item.Value != c.want || item.Err != nil && c.want != "" {
				t.Errorf("promised: the last good value of a bad key is used while it is not too old, here %q\nhappened: %+v", c.want, item)
			}
		}
	})
}
