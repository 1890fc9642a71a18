package value_test

import (
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV11TheCheckFindsADeadStream(t *testing.T) {
	eachMode(t, inBubble, v11check+", which finds a stream that died unnoticed", func(w *world, opts ...value.WatchOption) {
		w.put("one")
		var log logbook
		v := w.text(value.WithCheck(20*time.Second), log.option())
		a := watch(w, v, opts...)
		a.Gives("one")
		w.Streaming(1)
		w.Silence()
		w.put("two")
		began := time.Now()
		a.Gives("two")
		if d := time.Since(began); d > 30*time.Second {
			w.broken("an update that a dead stream did not deliver was returned after %v", d)
		}
		w.pass(10 * time.Second)
		w.put("three") // by now the stream was opened again
		began = time.Now()
		a.Gives("three")
		if d := time.Since(began); d != 0 {
			w.broken("the stream was not opened again: the next update took %v", d)
		}
		if log.count("had stopped delivering") != 1 || log.count("\n") != 1 {
			w.broken("a stream died unnoticed, and the log says:\n%s", &log)
		}
	})
}

func TestV11TheCheckFindsADeadStreamThatWasOnlySlowBefore(t *testing.T) {
	inBubble(t, v11check+": a stream that is slow goes on, and when it dies later that is found as well", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number()
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		w.Streaming(1)
		watches := w.Counts().Watches
		slow := w.Delay(3*time.Second, fault.Watches, fault.Answered)
		w.pass(58 * time.Second)
		w.putNumbers(1, 1)
		for i := 2; i <= 20; i++ { // the check happens during this, and the stream delivers all the time
			w.pass(time.Second)
			w.putNumbers(i, i)
			watch(w, v) // its first read shows the newest value
		}
		w.pass(10 * time.Second)
		a.GivesEach(numbers(1, 20)...)
		slow.Remove()
		w.pass(30 * time.Second)
		if n := w.Counts().Watches; n != watches {
			w.broken("a stream that was slow was opened again %d times", n-watches)
		}
		w.Silence()
		w.putNumbers(21, 21)
		began := time.Now()
		a.GivesEach(21)
		if d := time.Since(began); d > 70*time.Second {
			w.broken("an update that a dead stream did not deliver was returned after %v", d)
		}
	})
}

func TestV11TheCheckFindsADeadStreamWhoseHistoryIsGone(t *testing.T) {
	inBubble(t, v11check+", also where what it missed is compacted", func(w *world) {
		a := w.everyFrom(1)
		seen := a.Revision()
		w.Streaming(1)
		w.Silence()
		last := w.putNumbers(2, 9)
		w.compact()
		began := time.Now()
		a.HasGap(seen, last, kv.ErrCompacted)
		a.GivesEach(9)
		if d := time.Since(began); d > 70*time.Second {
			w.broken("an update that a dead stream did not deliver was returned after %v", d)
		}
	})
}

func TestV11AnIdleValueCostsOneReadAMinute(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []value.Option
		most int
	}{
		{"by default", nil, 60},
		{"switched off", []value.Option{value.WithCheck(0)}, 0},
		{"every ten minutes", []value.Option{value.WithCheck(10 * time.Minute)}, 6},
		{"with a limit to staleness", []value.Option{value.WithMaxStaleness(time.Minute)}, 120},
		{"with a limit and no check", []value.Option{value.WithMaxStaleness(time.Minute), value.WithCheck(0)}, 120},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, "V11, V12: what an idle Value costs", func(w *world) {
				w.put("one")
				v := w.text(c.opts...)
				a, _ := both(w, v, "one")
				w.Settle()
				before := w.Counts()
				a.Begin().Waits()
				w.pass(time.Hour)
				after := w.Counts()
				if n := after.Gets - before.Gets; n > c.most || n < c.most-1 {
					w.broken("in an idle hour there were %d reads, want %d", n, c.most)
				}
				if n := after.Watches - before.Watches; n != 0 {
					w.broken("in an idle hour %d watches were opened", n)
				}
			})
		})
	}
}

func TestV11NoCheckWhileTheWatchDelivers(t *testing.T) {
	inBubble(t, v11check+", and only then", func(w *world) {
		a := w.watchFrom("one", w.text())
		w.Settle()
		before := w.Counts().Gets
		for range 60 {
			w.put("more")
			w.pass(59 * time.Second)
		}
		if n := w.Counts().Gets - before; n != 0 {
			w.broken("a watch that was never silent for a minute was checked %d times", n)
		}
		w.Silence()
		w.put("unseen")
		w.pass(2 * time.Second)
		if got, err := a.TryGet(); got != "unseen" || err != nil {
			w.broken("after a minute of silence TryGet returned %s", describe(got, err))
		}
	})
}

// A running watch is not notified that its permission is gone, and may still deliver bookmarks.
func TestV11ABookmarkDoesNotReplaceTheCheckOfASilentWatch(t *testing.T) {
	inBubble(t, "V11, a permission that is gone is noticed by the check of a silent watch", func(w *world) {
		w.put("1")
		w.putOther()
		v := w.text(value.WithCheck(time.Minute))
		watch(w, v).Gives("1")
		w.Streaming(1)
		w.putOther() // so that the watch does not wait for a future revision
		began := time.Now()
		for range 20 {
			w.must(w.backend.(*memoryBackend).RequestProgress(w.Context()))
			w.pass(30 * time.Second)
		}
		if age := time.Since(v.Status().Confirmed); age > 2*time.Minute {
			w.broken("after %v of bookmarks, the last read was begun %v ago", time.Since(began), age)
		}
	})
}

// The time counts from the beginning of the read, because its answer may be as old as that.
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
			w.broken("26 seconds after the beginning of the first read, there were %d more reads, want 1", n)
		}
	})
}
