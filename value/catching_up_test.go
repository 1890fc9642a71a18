package value_test

import (
	"errors"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV9CloseEndsTheReadingOfHistoryAndWaitsForThat(t *testing.T) {
	inBubble(t, v9+", and nothing of it is left running", func(w *world) {
		ended := false
		a, _ := behind(w, func(r historyRead) {
			<-r.ctx.Done()
			time.Sleep(time.Second)
			ended = true
		})
		c := a.Begin()
		c.Waits()
		began := time.Now()
		a.Close()
		if !ended {
			w.broken("Close returned while history was being read")
		}
		wantSince(w, began, time.Second, time.Second)
		c.Fails(value.ErrClosed)
	})
}

func TestV9CloseDoesNotWaitForTheNextAttemptToReadHistory(t *testing.T) {
	inBubble(t, v9, func(w *world) {
		a, _ := behind(w, func(r historyRead) {
			r.yield(kv.Batch{}, kv.ErrUnavailable)
		})
		c := a.Begin()
		c.Waits()
		began := time.Now()
		a.Close()
		wantSince(w, began, 0, 0)
		c.Fails(value.ErrClosed)
	})
}

// A filter is called in a Get, and may close the watcher.
func TestV9NothingIsBegunForAWatcherThatIsClosed(t *testing.T) {
	inBubble(t, v9+", and nothing is begun for it after that", func(w *world) {
		w.putNumbers(1, 1)
		v := w.number(value.WithBacklog(1))
		watch(w, v)
		a := watch(w, v, value.EveryUpdate())
		var before fault.Counts
		a.Fails(value.ErrClosed, value.Where(func(int) bool {
			for i := 2; i <= 9; i++ {
				w.putNumbers(i, i)
				w.Settle()
			}
			a.Close()
			before = w.Counts()
			return false
		}))

		w.Settle()
		if after := w.Counts(); after.Watches != before.Watches {
			w.broken("after Close %d watches were begun", after.Watches-before.Watches)
		}
	})
}

func TestV12WhatNoWatcherCanReturnIsNotDecoded(t *testing.T) {
	for name, prepare := range map[string]func(v *value.Value[int]){
		"no watcher asks for every update":       func(*value.Value[int]) {},
		"the one that asked for each was closed": func(v *value.Value[int]) { v.Watch(value.EveryUpdate()).Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "V3, a watcher of the newest skips straight to it", func(w *world) {
				var decoder counting
				w.putNumbers(1, 1)
				v := value.New(w.Store, w.key, decoder.decode)
				a := watch(w, v)
				a.GivesEach(1)
				prepare(v)
				w.Streaming(1)
				w.Cut()
				w.putNumbers(2, 9)
				w.Heal()
				a.GivesEach(9)
				if len(decoder.calls) != 2 {
					w.broken("of 1 to 9 these were decoded, and how often: %v; want 1 and 9", decoder.calls)
				}
			})
		})
	}
}

func TestV6ADeletionIsReturnedThoughTheValueBeforeItWasTooOld(t *testing.T) {
	inBubble(t, "V6, a deletion is returned once", func(w *world) {
		rev := w.putNumbers(1, 1)
		a := watch(w, w.number(), value.EveryUpdate())
		c := a.Begin(value.AtLeast[int](rev + 1))
		c.Waits()
		w.delete()
		c.Fails(value.ErrDeleted)
		a.HasNothing()
		w.putNumbers(2, 2)
		a.GivesEach(2)
	})
}

func TestV4AnUpdateThatWasTooOldIsNotReturnedLater(t *testing.T) {
	inBubble(t, "V15, Get returns a value at or after a revision; V5, never backwards", func(w *world) {
		rev := w.putNumbers(1, 1)
		a := watch(w, w.number(), value.EveryUpdate())
		c := a.Begin(value.AtLeast[int](rev + 2))
		c.Waits()
		w.putNumbers(2, 3)
		c.Gives(3)
		a.HasNothing()
	})
}

func TestV4WhatWasReturnedOfHistoryIsNotHeld(t *testing.T) {
	inBubble(t, "V4, memory stays bounded", func(w *world) {
		w.put("1")
		var decoded []weak.Pointer[[64]byte]
		v := value.New(w.Store, w.key, func([]byte) (*[64]byte, error) {
			p := new([64]byte)
			decoded = append(decoded, weak.Make(p))
			return p, nil
		}, value.WithBacklog(1))
		a := watch(w, v, value.EveryUpdate())
		next := func() {
			_, err := a.Next()
			w.must(err)
		}
		next()
		for range 6 {
			w.put("x")
			w.Settle()
		}
		decoded = nil
		for range 4 {
			next()
		}
		runtime.GC()
		for i, p := range decoded[:3] { // the fourth was returned last
			if p.Value() != nil {
				w.broken("update %d of history is held, and update 4 was returned last", i+1)
			}
		}
		runtime.KeepAlive(a)
	})
}

func TestV4AGapMayEndInADeletion(t *testing.T) {
	each(t, oneGap, func(w *world) {
		a := w.everyFrom(1)
		seen := a.Revision()
		w.Streaming(1)
		w.Cut()
		w.putNumbers(2, 3)
		w.delete()
		to := w.compact()
		w.Heal()
		a.HasGap(seen, to, kv.ErrCompacted)
		a.Fails(value.ErrDeleted)
		if a.Revision() != to {
			w.broken("Revision is %d, and the gap ended at %d", a.Revision(), to)
		}
		a.HasNothing()
		w.putNumbers(4, 5)
		a.GivesEach(numbers(4, 5)...)
	})
}

// What comes next is the same with the reset and without it.
func TestV4AResetToWhatIsNextAfterAGapIsNoSecondGap(t *testing.T) {
	inBubble(t, noGap, func(w *world) {
		a := w.everyFrom(1)
		seen := a.Revision()
		w.Streaming(1)
		last := w.losesForGood(2, 9)
		a.HasGap(seen, last, kv.ErrCompacted)
		w.Streaming(1) // again
		w.EndStreams(kv.ErrReset)
		w.pass(time.Second)
		a.GivesEach(9)
		a.HasNothing()
		w.putNumbers(10, 11)
		a.GivesEach(numbers(10, 11)...)
	})
}

func TestV4AResetToSomethingElseAfterAGapIsASecondGap(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		seen := w.putNumbers(1, 1)
		w.backup()
		a := watch(w, w.number(), value.EveryUpdate())
		a.GivesEach(1)
		w.Streaming(1)
		last := w.losesForGood(2, 9)
		a.HasGap(seen, last, kv.ErrCompacted)
		w.Streaming(1) // again
		w.restore()
		rev := w.putNumbers(20, 20)
		w.pass(time.Second)
		got, err := a.Next()
		var gap *value.GapError
		if !errors.As(err, &gap) || !errors.Is(err, kv.ErrReset) || gap.To != rev {
			w.broken("Get returned %s, want a *GapError to %d because of a reset", describe(got, err), rev)
		}
		a.GivesEach(20)
		a.HasNothing()
	})
}

// A key that is absent in both histories may have been there in between.
func TestV4BetweenTwoAbsencesOfTwoHistoriesMayBeAGap(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		a := w.everyFrom(1)
		gone := w.delete()
		a.Fails(value.ErrDeleted)
		w.Streaming(1)
		w.EndStreams(kv.ErrReset)
		w.Settle()
		a.HasGap(gone, gone, kv.ErrReset)
		a.HasNothing()
		w.putNumbers(2, 3)
		a.GivesEach(numbers(2, 3)...)
	})
}

func TestV5AReadingOfAHistoryThatWasReplacedIsDropped(t *testing.T) {
	inBubble(t, v5reset, func(w *world) {
		ended := false
		w.put("0")
		w.backup()
		a, _ := behind(w, func(r historyRead) {
			<-r.ctx.Done()
			ended = true
			r.yield(kv.Batch{}, r.ctx.Err())
		})
		c := a.Begin()
		c.Waits() // for history
		w.restore()
		c.Fails(kv.ErrReset) // as a *GapError
		w.Settle()
		if !ended {
			w.broken("the reading of the history that was replaced goes on")
		}
		a.Gives("0")
		w.put("new")
		a.Gives("new")
	})
}

// A store that lies. It must not make a watcher spin, or wait for ever.
func TestV4AHistoryThatBringsNothingIsReadOnce(t *testing.T) {
	inBubble(t, "V4, a watcher goes on", func(w *world) {
		a, s := behind(w, func(r historyRead) {
			for b, err := range r.watch {
				b.Events = nil
				if !r.yield(b, err) {
					return
				}
			}
		})
		w.put("6")
		w.Settle()
		for {
			got, err := a.Next()
			if got == "6" {
				break
			}
			if gap := new(value.GapError); !errors.As(err, &gap) && got != "5" {
				w.broken("Get returned %s, want the newest, or a gap before it", describe(got, err))
			}
		}
		if n := s.begun.Load(); n != 1 {
			w.broken("history was read %d times, want once", n)
		}
	})
}

// The key may have been there in between, also where a gap was reported before.
func TestV4AResetAfterAGapThatEndsInADeletionIsASecondGap(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		a := w.everyFrom(1)
		seen := a.Revision()
		w.Streaming(1)
		w.Cut()
		w.putNumbers(2, 3)
		w.delete()
		to := w.compact()
		w.Heal()
		a.HasGap(seen, to, kv.ErrCompacted)
		w.Streaming(1) // again
		w.EndStreams(kv.ErrReset)
		w.pass(time.Second)
		a.HasGap(seen, to, kv.ErrReset)
		a.Fails(value.ErrDeleted)
		a.HasNothing()
		w.putNumbers(4, 5)
		a.GivesEach(numbers(4, 5)...)
	})
}
