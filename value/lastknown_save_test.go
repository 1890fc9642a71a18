package value_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// memo is a LastKnown. A test can make its saves fail or wait.
type memo struct {
	mu     sync.Mutex
	saves  []kv.Snapshot
	times  []time.Time
	fail   error
	failed int
	takes  time.Duration
	loaded kv.Snapshot
}

func (m *memo) Load(context.Context, kv.Range) (kv.Snapshot, time.Time, error) {
	if m.loaded.Entries == nil {
		return kv.Snapshot{}, time.Time{}, kv.ErrNotFound
	}
	return m.loaded, time.Now(), nil
}

func (m *memo) Save(_ context.Context, _ kv.Range, s kv.Snapshot, _ time.Time) error {
	time.Sleep(m.takes)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		m.failed++
		return m.fail
	}
	m.saves, m.times = append(m.saves, s), append(m.times, time.Now())
	return nil
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
