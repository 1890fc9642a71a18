package value_test

import (
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

const (
	oneGap  = "V4, where the store's history is gone an EveryUpdate watcher gets one *GapError, and goes on from the newest"
	noGap   = "V4, a watcher that missed nothing is told of no gap"
	outages = "V4, each update once and in order, also those of an outage"
)

func TestV4OneGapWhenWhatWasMissedIsCompacted(t *testing.T) {
	each(t, oneGap, func(w *world) {
		a := w.everyFrom(1)
		seen := a.Revision()
		w.Streaming(1)
		last := w.losesForGood(2, 9)
		a.HasGap(seen, last, kv.ErrCompacted)
		a.GivesEach(9)
		a.HasNothing()
		w.putNumbers(10, 12)
		a.GivesEach(numbers(10, 12)...)
	})
}

func TestV4OneGapWhenTheBacklogAndTheHistoryAreGone(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		w.putNumbers(1, 1)
		v := w.number(value.WithBacklog(3))
		a, fast := watch(w, v, value.EveryUpdate()), watch(w, v, value.EveryUpdate())
		a.GivesEach(1)
		fast.GivesEach(1)
		seen := a.Revision()
		for i := 2; i <= 50; i++ {
			w.putNumbers(i, i)
			fast.GivesEach(i)
		}
		w.compact()
		w.Settle()
		a.HasGap(seen, fast.Revision(), kv.ErrCompacted)
		a.GivesEach(50)
		w.putNumbers(51, 52)
		a.GivesEach(numbers(51, 52)...)
		fast.GivesEach(numbers(51, 52)...)
	})
}

func TestV4WhatFollowsAGapIsNotMissed(t *testing.T) {
	const promise = "V4, after a *GapError a watcher goes on from what the key was at its To, and misses nothing more"
	t.Run("an outage", func(t *testing.T) {
		each(t, promise, func(w *world) {
			a := w.everyFrom(1, value.WithBacklog(2))
			seen := a.Revision()
			w.Streaming(1)
			last := w.losesForGood(2, 9)
			a.HasGap(seen, last, kv.ErrCompacted)
			w.putNumbers(10, 30) // before the next Get
			w.Settle()
			a.GivesEach(numbers(9, 30)...)
		})
	})
	t.Run("far behind", func(t *testing.T) {
		inBubble(t, promise, func(w *world) {
			a := w.everyFrom(1, value.WithBacklog(2))
			seen := a.Revision()
			last := w.putNumbers(2, 9)
			w.Settle()
			w.compact()
			a.HasGap(seen, last, kv.ErrCompacted)
			w.putNumbers(10, 30)
			w.Settle()
			a.GivesEach(numbers(9, 30)...)
		})
	})
	t.Run("a replaced history", func(t *testing.T) {
		inBubble(t, promise, func(w *world) {
			w.putNumbers(1, 1)
			w.backup()
			w.putNumbers(2, 9)
			a := watch(w, w.number(value.WithBacklog(2)), value.EveryUpdate())
			a.GivesEach(9)
			w.restore()
			a.HasGap(10, 2, kv.ErrReset)
			w.putNumbers(2, 30)
			w.Settle()
			a.Gives(1)
			a.GivesEach(numbers(2, 30)...)
		})
	})
}

func TestV4OneGapWhenCompactedHalfwayThroughCatchingUp(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(3))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		last := w.putNumbers(1, 30_000)
		w.Settle()
		a.GivesEach(numbers(1, 10)...) // of the first piece of history
		w.compact()
		w.Settle()
		// What was read already comes, then one gap, then the newest.
		for i := 11; ; i++ {
			got, err := a.Next()
			if err == nil && got == i {
				continue
			}
			var gap *value.GapError
			if !errors.As(err, &gap) || gap.To != last || gap.From < kv.Revision(i-1) {
				w.broken("after %d Get returned %s, want %d or a *GapError to %d", i-1, describe(got, err), i, last)
			}
			break
		}
		a.GivesEach(30_000)
		a.HasNothing()
	})
}

func TestV4CatchingUpDuringAnOutage(t *testing.T) {
	for name, out := range map[string]func(w *world, begin func()){ // begin has a watcher catch up
		"cut": func(w *world, begin func()) { begin(); w.Cut() },
		"no leader": func(w *world, begin func()) {
			begin()
			w.Fail(-1, kv.ErrUnavailable, fault.Reads)
			w.EndStreams(kv.ErrUnavailable)
		},
		"cut at last": func(w *world, begin func()) {
			h := w.Hold(fault.Watches)
			begin()
			w.Held(h)
			w.Cut()
			h.Release()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, outages, func(w *world) {
				a := w.everyFrom(0, value.WithBacklog(3))
				w.putNumbers(1, 10_000)
				w.Settle()
				c := make(chan struct{})
				out(w, func() {
					go func() {
						defer close(c)
						a.GivesEach(numbers(1, 10_000)...)
					}()
				})
				w.pass(10 * time.Minute)
				w.Clear()
				<-c
			})
		})
	}
}

func TestV4AllThatHappenedDuringAnOutageComes(t *testing.T) {
	each(t, outages, func(w *world) {
		a := w.everyFrom(1, value.WithBacklog(8))
		w.Streaming(1)
		w.Fail(3, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.putNumbers(2, 100)
		a.GivesEach(numbers(2, 100)...)
		a.HasNothing()
		w.EndStreams(kv.ErrUnavailable)
		w.delete()
		w.putNumbers(101, 102)
		a.Fails(value.ErrDeleted)
		a.GivesEach(numbers(101, 102)...)
	})
}

func TestV4NoGapWhenAnIdleWatchIsEndedByACompaction(t *testing.T) {
	each(t, noGap, func(w *world) {
		a := w.everyFrom(1)
		w.Streaming(1)
		w.Cut()
		for range 10 {
			w.compact() // of another key's history
		}
		before := w.Counts().Watches
		w.Heal()
		w.Until("the store was read and watched again", func(c fault.Counts) bool { return c.Watches > before })
		w.Settle()
		a.HasNothing()
		w.putNumbers(2, 3)
		a.GivesEach(numbers(2, 3)...)
	})
}

func TestV4NoGapWhenOnlyTheLastUpdateIsToBeHad(t *testing.T) {
	each(t, noGap, func(w *world) {
		a := w.everyFrom(1)
		w.Streaming(1)
		w.losesForGood(2, 2)
		a.GivesEach(2) // its version says that it follows at once
		w.putNumbers(3, 3)
		a.GivesEach(3)
	})
}

func TestV4AGapGoesUpToWhereTheWatcherGoesOn(t *testing.T) {
	inBubble(t, "V4, a *GapError tells of all updates that may be lost", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(1))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		seen := a.Revision()
		w.putNumbers(1, 5)
		w.delete()
		w.Settle()
		w.Cut(fault.Watches)
		w.putNumbers(6, 6) // a life that nothing shows
		w.delete()
		last := w.compact()
		w.Heal()
		w.Settle()
		a.HasGap(seen, last, kv.ErrCompacted)
		a.Fails(value.ErrDeleted)
		if a.Revision() != last {
			w.broken("Revision is %d, and the watcher goes on from %d", a.Revision(), last)
		}
		w.putNumbers(7, 8)
		a.GivesEach(numbers(7, 8)...)
	})
}

func TestV4NoGapForAWatcherThatIsAheadOfTheWatchThatIsLost(t *testing.T) {
	each(t, noGap, func(w *world) {
		v := w.number()
		watch(w, v)
		w.Streaming(1)
		w.Cut(fault.Watches)
		w.putNumbers(1, 1)
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(1) // by a read: the watch has brought nothing
		w.compact()
		w.putNumbers(2, 2)
		w.Heal()
		a.GivesEach(2) // its version says that it follows at once
		w.putNumbers(3, 3)
		a.GivesEach(3)
	})
}

func TestV4CatchingUpIsNotStoppedByARefusedWatch(t *testing.T) {
	inBubble(t, "V11, a refused watch is a permission that is gone only if a read confirms it", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(3))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		w.putNumbers(1, 100)
		w.Settle()
		w.Fail(3, kv.ErrPermission, fault.Watches) // an expired token
		a.GivesEach(numbers(1, 100)...)
	})
}

func TestV4CatchingUpTellsARefusalThatAReadConfirms(t *testing.T) {
	inBubble(t, "V11, a permission that is gone is told, once an attempt, and noticed when it is back", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(3), value.WithCheck(0))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		w.putNumbers(1, 100)
		w.Settle()
		refused := w.Fail(-1, kv.ErrPermission, fault.Reads)
		a.Fails(kv.ErrPermission)
		a.Fails(kv.ErrPermission)
		refused.Remove()
		a.GivesEach(numbers(1, 100)...)
	})
}

func TestV4HistoryKeptByNumber(t *testing.T) {
	inBubble(t, "V4, every update or one honest gap", func(w *world) {
		m := memory.New(memory.WithHistory(100))
		put := func(n string) {
			_, err := m.Put(w.Context(), w.key, []byte(n))
			w.must(err)
		}
		put("0")
		v := value.New(m, w.key, value.JSON[int], value.WithBacklog(10))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		for range 1000 {
			put("1")
			w.Settle()
		}
		a.HasGap(2, 1002, kv.ErrCompacted)
		a.GivesEach(1)
		a.HasNothing()
	})
}
