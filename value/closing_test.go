package value_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

func TestV9AWatcherThatIsClosedTwiceIsCountedOnce(t *testing.T) {
	eachMode(t, inBubble, v9+", which ends no other watcher", func(w *world, opts ...value.WatchOption) {
		w.put("one")
		v := w.text()
		a, b := watch(w, v, opts...), watch(w, v, opts...)
		a.Gives("one")
		for range 3 {
			b.Close()
		}
		if n := v.Status().Watchers; n != 1 {
			w.broken("one watcher is open, and Status says %d", n)
		}
		w.put("two")
		a.Gives("two")
	})
}

func TestV9TheEndOfTheLastWatcherIsNoOutage(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"while it watches":       func(w *world) {},
		"while a read is held":   func(w *world) { w.Hold(fault.Gets) },
		"while a watch is begun": func(w *world) { w.Hold(fault.Watches) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "V11, Status and log tell of outages, and of nothing else", func(w *world) {
				var log logbook
				w.put("one")
				prepare(w)
				v := w.text(log.option())
				a := watch(w, v)
				w.Settle()
				a.Close()
				if s := v.Status(); s.LastError != nil || s.Connected || log.String() != "" {
					w.broken("after the last Close Status is %+v, and the log says:\n%s", s, &log)
				}
			})
		})
	}
}

// slowToEnd is a store whose reads end a second after their context.
type slowToEnd struct {
	kv.Store
	running atomic.Int32
	hangs   atomic.Bool
}

func (s *slowToEnd) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	if !s.hangs.Load() {
		return s.Store.Get(ctx, r)
	}
	s.running.Add(1)
	<-ctx.Done()
	time.Sleep(time.Second)
	s.running.Add(-1)
	return kv.Snapshot{}, ctx.Err()
}

func TestV9CloseWaitsForTheReadThatIsUnderWay(t *testing.T) {
	inBubble(t, v9+", and nothing of it is left running", func(w *world) {
		m := memory.New()
		_, err := m.Put(w.Context(), w.key, []byte("one"))
		w.must(err)
		s := &slowToEnd{Store: m}
		a := watch(w, value.New(s, w.key, value.String, value.WithCheck(5*time.Second)))
		a.Gives("one")
		s.hangs.Store(true)
		w.pass(6 * time.Second)
		if n := s.running.Load(); n != 1 {
			w.Fatalf("the test itself: %d reads are under way", n)
		}
		a.Close()
		if n := s.running.Load(); n != 0 {
			w.broken("after Close %d reads are under way", n)
		}
	})
}

func TestV11AWatchThatEndsWithoutAnErrorIsShown(t *testing.T) {
	inBubble(t, "V11, what is going on is never hidden", func(w *world) {
		v := w.text()
		a := w.watchFrom("one", v)
		w.Streaming(1)
		w.EndStreams(nil)
		w.Settle()
		if s := v.Status(); s.LastError == nil {
			w.broken("a watch has ended, and Status is %+v", s)
		}
		w.put("two")
		a.Gives("two")
	})
}

const waits = "waiting for it to be created"

func TestV1AKeyThatComesSoonIsNotLoggedAsAbsent(t *testing.T) {
	inBubble(t, "V1, given a logger, what a Get waits for is said once after a few seconds", func(w *world) {
		var log logbook
		a := watch(w, w.text(log.option()))
		c := a.Begin()
		w.pass(4 * time.Second)
		w.put("one")
		c.Gives("one")
		w.pass(time.Minute)
		if log.count(waits) != 0 {
			w.broken("the key was there after four seconds, and the log says:\n%s", &log)
		}
	})
}

func TestV1AnAbsentKeyIsLoggedAlsoWhileTheWatchIsBegun(t *testing.T) {
	inBubble(t, "V1, given a logger, what a Get waits for is said once after a few seconds", func(w *world) {
		var log logbook
		w.Hold(fault.Watches)
		watch(w, w.text(log.option())).Begin()
		w.pass(8 * time.Second)
		if log.count(waits) != 1 {
			w.broken("the key is absent for eight seconds, and the log says:\n%s", &log)
		}
	})
}

// A watch that delivers confirms nothing, because what it brings may be late.
func TestV11ABusyWatchDoesNotPutOffTheReadsOfALimitToStaleness(t *testing.T) {
	inBubble(t, "V11, with a limit to staleness the key is read every half of it", func(w *world) {
		v := w.text(value.WithMaxStaleness(10 * time.Second))
		a := w.watchFrom("x", v)
		before := w.Counts().Gets
		for range 60 {
			w.pass(time.Second)
			w.put("x")
			a.Gives("x")
			if age := time.Since(v.Status().Confirmed); age > 5*time.Second {
				w.broken("what is known was last confirmed %v ago", age)
			}
		}
		if n := w.Counts().Gets - before; n < 12 || n > 13 {
			w.broken("in a minute the key was read %d times, want 12", n)
		}
	})
}

// The limit counts from when a read was begun, which is how old its answer may be.
func TestV11TheFirstCheckCountsFromTheBeginningOfTheFirstRead(t *testing.T) {
	inBubble(t, "V11, a silence is checked after the time that is set", func(w *world) {
		w.put("one")
		slow := w.Delay(20*time.Second, fault.Gets)
		a := watch(w, w.text(value.WithCheck(25*time.Second)))
		a.Gives("one") // after 20 seconds; a second read was begun after ten
		slow.Remove()
		w.Settle()
		before := w.Counts().Gets
		w.pass(6 * time.Second)
		if n := w.Counts().Gets - before; n != 1 {
			w.broken("26 seconds after the first read was begun there were %d more, want 1", n)
		}
	})
}

func TestV11ABadValueIsLoggedOnce(t *testing.T) {
	inBubble(t, "V11, a program that only calls Latest sees in Status and log that the newest value is bad", func(w *world) {
		var log logbook
		w.put("1")
		v := w.number(log.option())
		watch(w, v, value.EveryUpdate())
		watch(w, v)
		w.Settle()
		w.put("bad")
		w.Settle()
		w.Streaming(1)
		w.EndStreams(kv.ErrUnavailable)
		w.pass(time.Minute)
		const line = "the newest value does not decode"
		if log.count(line) != 1 || v.Status().BadValue == nil {
			w.broken("Status is %+v, and the log says:\n%s", v.Status(), &log)
		}
		w.put("2")
		w.Settle()
		if s := v.Status(); s.BadValue != nil {
			w.broken("the newest value is good, and Status is %+v", s)
		}
		w.put("bad")
		w.Settle()
		if log.count(line) != 2 {
			w.broken("a second value was bad, and the log says:\n%s", &log)
		}
	})
}
