package value_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// memo is a LastKnown. A test can make its saves fail or wait.
type memo struct {
	mu     sync.Mutex
	saves  []kv.Snapshot
	times  []time.Time
	known  []time.Time // the time of each record
	fail   error
	failed int
	takes  time.Duration
	loaded kv.Snapshot
	time   time.Time // of what is loaded; zero for now
}

func (m *memo) Load(context.Context, kv.Range) (kv.Snapshot, time.Time, error) {
	if m.loaded.Entries == nil {
		return kv.Snapshot{}, time.Time{}, kv.ErrNotFound
	}
	if m.time.IsZero() {
		return m.loaded, time.Now(), nil
	}
	return m.loaded, m.time, nil
}

func (m *memo) Save(_ context.Context, _ kv.Range, s kv.Snapshot, confirmed time.Time) error {
	time.Sleep(m.takes)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		m.failed++
		return m.fail
	}
	m.saves, m.times, m.known = append(m.saves, s), append(m.times, time.Now()), append(m.known, confirmed)
	return nil
}

// last returns the record that was saved last, and its time.
func (m *memo) last() (kv.Snapshot, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.saves) - 1
	return m.saves[n], m.known[n]
}

func (m *memo) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.saves)
}

func TestLastKnownIsSavedConcurrentlyWithGetsAndTheNewestWins(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		m := &memo{takes: 3 * time.Second}
		b.kept = m
		b.put("0")
		w := b.value().Watch()
		b.gives(w, 0)
		time.Sleep(time.Second) // a save is running now
		began := time.Now()
		for i := 1; i <= 100; i++ {
			b.put(fmt.Sprint(i))
			b.gives(w, i)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("promised: no Get waits for a save; a hundred took %v", d)
		}
		w.Close()
		if n := m.count(); n != 2 || string(m.saves[1].Entries[0].Value) != "100" {
			t.Errorf("promised: the newest value is saved last, and Close waits for that; the saves were %+v", m.saves)
		}
	})
}

func TestLastKnownIsSavedLessOftenWhereSavesAreSlow(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		m := &memo{takes: 3 * time.Second}
		b.kept = m
		stop := b.value().KeepCurrent()
		defer stop()
		for i := range 3600 {
			b.put(fmt.Sprint(i))
			time.Sleep(time.Second)
		}
		if n := m.count(); n < 50 || n > 60 {
			t.Errorf("promised: saves take at most a twentieth of the time; in an hour there were %d saves of %v each", n, m.takes)
		}
	})
}

func TestAFailedSaveDoesNotStopTheValue(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		m := &memo{fail: errors.New("no space left")}
		b.kept = m
		b.put("0")
		v := b.value()
		w := v.Watch()
		defer w.Close()
		for i := range 10 {
			b.put(fmt.Sprint(i))
			b.gives(w, i)
			time.Sleep(2 * time.Second)
		}
		if s := v.Status(); !errors.Is(s.LastKnownError, m.fail) || b.log.count("cannot be saved") != 1 {
			t.Errorf("promised: the error is in Status, and once in the log; Status = %+v, the log:\n%s", s, &b.log)
		}
		m.mu.Lock()
		m.fail = nil
		m.mu.Unlock()
		b.put("10")
		time.Sleep(2 * time.Second)
		if s := v.Status(); s.LastKnownError != nil || m.count() != 1 {
			t.Errorf("promised: later values are saved; Status = %+v, saves %d", s, m.count())
		}
	})
}

func TestASaveThatFailsIsTriedAgain(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		m := &memo{fail: errors.New("no space left")}
		b.kept = m
		b.put("7")
		v := b.value()
		w := v.Watch()
		defer w.Close()
		b.gives(w, 7)
		time.Sleep(time.Hour)
		m.mu.Lock()
		tries := m.failed
		m.fail = nil
		m.mu.Unlock()
		if tries < 60 || tries > 120 {
			t.Errorf("promised: a save that fails is tried again, after a minute at last; in an hour it was tried %d times", tries)
		}
		time.Sleep(time.Minute)
		if s := v.Status(); m.count() != 1 || s.LastKnownError != nil {
			t.Errorf("promised: each good value is saved, also if that failed at first; there were %d saves, and Status is %+v", m.count(), s)
		}
		if n := b.log.count("cannot be saved"); n != 1 {
			t.Errorf("promised: an error is logged once; the log:\n%s", &b.log)
		}
	})
}

func TestABadValueIsNotSaved(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		m := new(memo)
		b.kept = m
		b.put("7")
		w := b.value().Watch()
		b.gives(w, 7)
		time.Sleep(2 * time.Second)
		b.put("bad")
		b.isBad(w)
		w.Close()
		if last := m.saves[len(m.saves)-1]; len(last.Entries) != 1 || string(last.Entries[0].Value) != "7" {
			t.Errorf("promised: the last good value is kept; the saves were %+v", m.saves)
		}
	})
}

// The store confirms a value for as long as it has it. A good value that has a bad one after it is older from then on, and WithMaxStaleness
// counts from the time of the record.
func TestTheTimeOfWhatIsSavedIsWhenTheStoreConfirmedAllOfIt(t *testing.T) {
	newBundle := func(b *lastBed) *value.Value[string] {
		return value.NewBundle(b.Store, kv.Prefix("/a"), func(all []kv.Entry) (string, error) { return strict(all[0].Value) }, value.WithLastKnown(b.kept, lastAfter))
	}
	for _, c := range []struct {
		name string
		keep func(b *lastBed) (stop func())
	}{
		{"a value", func(b *lastBed) func() { return b.value().KeepCurrent() }},
		{"a bundle", func(b *lastBed) func() { return newBundle(b).KeepCurrent() }},
		{"a Map", func(b *lastBed) func() { return b.strictMap().KeepCurrent() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			onLastKnown(t, func(b *lastBed) {
				m := new(memo)
				b.kept = m
				b.put("7")
				stop := c.keep(b)
				time.Sleep(time.Hour)
				b.put("bad")
				bad := time.Now()
				time.Sleep(time.Hour)
				stop()
				last, at := m.last()
				if v := string(last.Entries[0].Value); v != "7" {
					t.Fatalf("promised: the last good value is kept; it is %q", v)
				}
				if at.After(bad) || at.Before(bad.Add(-2*time.Minute)) {
					t.Errorf("promised: what is saved has the time at which the store confirmed it last\nhappened: it was saved with a time %v after a bad value took its place, when it had been confirmed each minute", at.Sub(bad))
				}
			})
		})
	}
}

func (b *lastBed) strictMap(opts ...value.Option) *value.Map[string] {
	return value.NewMap(b.Store, kv.Prefix("/"), strict, append([]value.Option{value.WithLastKnown(b.kept, lastAfter), b.log.option()}, opts...)...)
}

func TestTheTimeOfASavedMapIsThatOfItsOldestGoodValue(t *testing.T) {
	onLastKnown(t, func(b *lastBed) {
		m := new(memo)
		b.kept = m
		set := func(key, text string) time.Time {
			if _, err := b.memory.Put(b.Context(), key, []byte(text)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			return time.Now().Add(-time.Hour)
		}
		want := func(what string, confirmed time.Time) {
			t.Helper()
			if _, at := m.last(); at.After(confirmed) || at.Before(confirmed.Add(-2*time.Minute)) {
				t.Errorf("promised: a record has the time at which the store confirmed the oldest of what is saved, which it does once a minute\nhappened: the time is %v after that, %s", at.Sub(confirmed), what)
			}
		}
		for _, key := range []string{"/a", "/b", "/c"} {
			set(key, "1")
		}
		stop := b.strictMap().KeepCurrent()
		time.Sleep(time.Hour)
		bBad := set("/b", "bad")
		want("with one bad value", bBad)
		set("/c", "bad")
		want("with two bad values", bBad)
		set("/b", "bad again")
		want("with a bad value after the bad one", bBad)
		stop()
		want("when the watcher was closed", bBad)

		m.loaded, m.time = m.last()
		stop = b.strictMap().KeepCurrent() // as after a restart
		time.Sleep(time.Hour)
		set("/a", "2")
		want("after a restart", bBad)
		set("/b", "2")
		want("with one bad value again, which was loaded", bBad) // that of the record
		at := set("/c", "2")
		want("without a bad value", at)
		stop()
		want("when the second watcher was closed", time.Now())
	})
}

// slow is a LastKnown that takes its time to load.
type slow struct {
	*memo
	takes time.Duration
}

func (s slow) Load(ctx context.Context, r kv.Range) (kv.Snapshot, time.Time, error) {
	select {
	case <-time.After(s.takes):
		return s.memo.Load(ctx, r)
	case <-ctx.Done():
		return kv.Snapshot{}, time.Time{}, ctx.Err()
	}
}

func TestAGoodValueThatWasLoadedTooLateIsStillKept(t *testing.T) {
	for name, takes := range map[string]time.Duration{"the load is late": time.Minute, "the load was cancelled": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			onLastKnown(t, func(b *lastBed) {
				b.put("7")
				m := new(memo)
				b.kept = m
				stop := b.strictMap().KeepCurrent()
				time.Sleep(time.Minute)
				stop()
				m.loaded, m.time = m.last()

				b.put("bad")
				b.kept = slow{m, takes}
				stop = b.strictMap().KeepCurrent()
				time.Sleep(time.Hour)
				stop()
				if last, _ := m.last(); len(last.Entries) != 1 || string(last.Entries[0].Value) != "7" {
					t.Errorf("promised: the good value of a key is kept while the newest is bad\nhappened: it was loaded after the store had answered, and the next save lost it: %+v", last)
				}
				b.put("8")
				stop = b.strictMap().KeepCurrent()
				time.Sleep(3 * time.Hour)
				stop()
				if last, _ := m.last(); len(last.Entries) != 1 || string(last.Entries[0].Value) != "8" {
					t.Errorf("promised: each good value is saved; the record is %+v", last)
				}
			})
		})
	}
}
