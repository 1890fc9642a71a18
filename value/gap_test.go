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
		seen := w.putNumbers(1, 1)
		a := watch(w, w.number(), value.EveryUpdate())
		wantNumbers(w, a, 1, 1)
		w.streaming(1)
		w.Cut()
		last := w.putNumbers(2, 9)
		w.compact()
		w.Heal()
		wantGap(w, a, seen, last, kv.ErrCompacted)
		wantNumbers(w, a, 9, 9)
		wantNothing(w, a)
		w.putNumbers(10, 12)
		wantNumbers(w, a, 10, 12)
	})
}

func TestV4OneGapWhenTheBacklogAndTheHistoryAreGone(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		w.putNumbers(1, 1)
		v := w.number(value.WithBacklog(3))
		a, fast := watch(w, v, value.EveryUpdate()), watch(w, v, value.EveryUpdate())
		wantNumbers(w, a, 1, 1)
		wantNumbers(w, fast, 1, 1)
		seen := a.Revision()
		for i := 2; i <= 50; i++ {
			w.putNumbers(i, i)
			wantNumbers(w, fast, i, i)
		}
		w.compact()
		w.settle()
		wantGap(w, a, seen, fast.Revision(), kv.ErrCompacted)
		wantNumbers(w, a, 50, 50)
		w.putNumbers(51, 52)
		wantNumbers(w, a, 51, 52)
		wantNumbers(w, fast, 51, 52)
	})
}

func TestV4WhatFollowsAGapIsNotMissed(t *testing.T) {
	const promise = "V4, after a *GapError a watcher goes on from what the key was at its To, and misses nothing more"
	t.Run("an outage", func(t *testing.T) {
		each(t, promise, func(w *world) {
			seen := w.putNumbers(1, 1)
			a := watch(w, w.number(value.WithBacklog(2)), value.EveryUpdate())
			wantNumbers(w, a, 1, 1)
			w.streaming(1)
			w.Cut()
			last := w.putNumbers(2, 9)
			w.compact()
			w.Heal()
			wantGap(w, a, seen, last, kv.ErrCompacted)
			w.putNumbers(10, 30) // before the next Get
			w.settle()
			wantNumbers(w, a, 9, 30)
		})
	})
	t.Run("far behind", func(t *testing.T) {
		inBubble(t, promise, func(w *world) {
			seen := w.putNumbers(1, 1)
			a := watch(w, w.number(value.WithBacklog(2)), value.EveryUpdate())
			wantNumbers(w, a, 1, 1)
			last := w.putNumbers(2, 9)
			w.settle()
			w.compact()
			wantGap(w, a, seen, last, kv.ErrCompacted)
			w.putNumbers(10, 30)
			w.settle()
			wantNumbers(w, a, 9, 30)
		})
	})
	t.Run("a replaced history", func(t *testing.T) {
		inBubble(t, promise, func(w *world) {
			w.putNumbers(1, 1)
			w.backup()
			w.putNumbers(2, 9)
			a := watch(w, w.number(value.WithBacklog(2)), value.EveryUpdate())
			wantNumbers(w, a, 9, 9)
			w.restore()
			wantGap(w, a, 10, 2, kv.ErrReset)
			w.putNumbers(2, 30)
			w.settle()
			wantValue(w, a, 1)
			wantNumbers(w, a, 2, 30)
		})
	})
}

func TestV4OneGapWhenCompactedHalfwayThroughCatchingUp(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(3))
		a := watch(w, v, value.EveryUpdate())
		wantNumbers(w, a, 0, 0)
		last := w.putNumbers(1, 30_000)
		w.settle()
		wantNumbers(w, a, 1, 10) // of the first piece of history
		w.compact()
		w.settle()
		// What was read already comes, then one gap, then the newest.
		for i := 11; ; i++ {
			got, err := get(w, a)
			if err == nil && got == i {
				continue
			}
			var gap *value.GapError
			if !errors.As(err, &gap) || gap.To != last || gap.From < kv.Revision(i-1) {
				w.broken("after %d Get returned %s, want %d or a *GapError to %d", i-1, describe(got, err), i, last)
			}
			break
		}
		wantNumbers(w, a, 30_000, 30_000)
		wantNothing(w, a)
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
			w.held(h)
			w.Cut()
			h.Release()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, outages, func(w *world) {
				w.putNumbers(0, 0)
				a := watch(w, w.number(value.WithBacklog(3)), value.EveryUpdate())
				wantNumbers(w, a, 0, 0)
				w.putNumbers(1, 10_000)
				w.settle()
				c := make(chan struct{})
				out(w, func() {
					go func() {
						defer close(c)
						wantNumbers(w, a, 1, 10_000)
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
		w.putNumbers(1, 1)
		a := watch(w, w.number(value.WithBacklog(8)), value.EveryUpdate())
		wantNumbers(w, a, 1, 1)
		w.streaming(1)
		w.Fail(3, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.putNumbers(2, 100)
		wantNumbers(w, a, 2, 100)
		wantNothing(w, a)
		w.EndStreams(kv.ErrUnavailable)
		w.delete()
		w.putNumbers(101, 102)
		wantErr(w, a, value.ErrDeleted)
		wantNumbers(w, a, 101, 102)
	})
}

func TestV4NoGapWhenAnIdleWatchIsEndedByACompaction(t *testing.T) {
	each(t, noGap, func(w *world) {
		w.putNumbers(1, 1)
		a := watch(w, w.number(), value.EveryUpdate())
		wantNumbers(w, a, 1, 1)
		w.streaming(1)
		w.Cut()
		for range 10 {
			w.compact() // of another key's history
		}
		before := w.Counts().Watches
		w.Heal()
		w.until("the store was read and watched again", func(c fault.Counts) bool { return c.Watches > before })
		w.settle()
		wantNothing(w, a)
		w.putNumbers(2, 3)
		wantNumbers(w, a, 2, 3)
	})
}

func TestV4NoGapWhenOnlyTheLastUpdateIsToBeHad(t *testing.T) {
	each(t, noGap, func(w *world) {
		w.putNumbers(1, 1)
		a := watch(w, w.number(), value.EveryUpdate())
		wantNumbers(w, a, 1, 1)
		w.streaming(1)
		w.Cut()
		w.putNumbers(2, 2)
		w.compact()
		w.Heal()
		wantNumbers(w, a, 2, 2) // its version says that it follows at once
		w.putNumbers(3, 3)
		wantNumbers(w, a, 3, 3)
	})
}

func TestV4AGapGoesUpToWhereTheWatcherGoesOn(t *testing.T) {
	inBubble(t, "V4, a *GapError tells of all updates that may be lost", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(1))
		a := watch(w, v, value.EveryUpdate())
		wantNumbers(w, a, 0, 0)
		seen := a.Revision()
		w.putNumbers(1, 5)
		w.delete()
		w.settle()
		w.Cut(fault.Watches)
		w.putNumbers(6, 6) // a life that nothing shows
		w.delete()
		last := w.compact()
		w.Heal()
		w.settle()
		wantGap(w, a, seen, last, kv.ErrCompacted)
		wantErr(w, a, value.ErrDeleted)
		if a.Revision() != last {
			w.broken("Revision is %d, and the watcher goes on from %d", a.Revision(), last)
		}
		w.putNumbers(7, 8)
		wantNumbers(w, a, 7, 8)
	})
}

func TestV4NoGapForAWatcherThatIsAheadOfTheWatchThatIsLost(t *testing.T) {
	each(t, noGap, func(w *world) {
		v := w.number()
		watch(w, v)
		w.streaming(1)
		w.Cut(fault.Watches)
		w.putNumbers(1, 1)
		a := watch(w, v, value.EveryUpdate())
		wantNumbers(w, a, 1, 1) // by a read: the watch has brought nothing
		w.compact()
		w.putNumbers(2, 2)
		w.Heal()
		wantNumbers(w, a, 2, 2) // its version says that it follows at once
		w.putNumbers(3, 3)
		wantNumbers(w, a, 3, 3)
	})
}

func TestV4CatchingUpIsNotStoppedByARefusedWatch(t *testing.T) {
	inBubble(t, "V11, a refused watch is a permission that is gone only if a read confirms it", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(3))
		a := watch(w, v, value.EveryUpdate())
		wantNumbers(w, a, 0, 0)
		w.putNumbers(1, 100)
		w.settle()
		w.Fail(3, kv.ErrPermission, fault.Watches) // an expired token
		wantNumbers(w, a, 1, 100)
	})
}

func TestV4CatchingUpTellsARefusalThatAReadConfirms(t *testing.T) {
	inBubble(t, "V11, a permission that is gone is told, once an attempt, and noticed when it is back", func(w *world) {
		w.putNumbers(0, 0)
		v := w.number(value.WithBacklog(3), value.WithCheck(0))
		a := watch(w, v, value.EveryUpdate())
		wantNumbers(w, a, 0, 0)
		w.putNumbers(1, 100)
		w.settle()
		refused := w.Fail(-1, kv.ErrPermission, fault.Reads)
		wantErr(w, a, kv.ErrPermission)
		wantErr(w, a, kv.ErrPermission)
		refused.Remove()
		wantNumbers(w, a, 1, 100)
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
		wantNumbers(w, a, 0, 0)
		for range 1000 {
			put("1")
			w.settle()
		}
		wantGap(w, a, 2, 1002, kv.ErrCompacted)
		wantNumbers(w, a, 1, 1)
		wantNothing(w, a)
	})
}
