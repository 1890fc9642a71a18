package value_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

func TestV4UpdatesFromHistoryBeforeAnErrorAreReturned(t *testing.T) {
	t.Run("its end", func(t *testing.T) {
		inBubble(t, oneGap, func(w *world) {
			a, _ := behind(w, func(r historyRead) {
				r.some(int(4-2*r.n), &kv.CompactedError{Oldest: 9})
			})
			began := time.Now()
			a.GivesEach("2", "3")
			seen := a.Revision()
			a.HasGap(seen, seen+2, kv.ErrCompacted)
			a.GivesEach("5")
			a.HasNothing()
			wantSince(w, began, 0, 0) // it does not wait, because waiting would not help
		})
	})
	t.Run("an outage", func(t *testing.T) {
		inBubble(t, outages, func(w *world) {
			a, _ := behind(w, func(r historyRead) {
				if r.n < 5 {
					r.some(int(r.n%2), kv.ErrUnavailable)
					return
				}
				r.watch(r.yield)
			})
			a.GivesEach("2", "3", "4", "5")
		})
	})
}

func TestV4AHistoryReplacedDuringItsReadIsAGap(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		a, _ := behind(w, func(r historyRead) {
			r.yield(kv.Batch{}, &kv.OpError{Store: "historian", Op: "watch", Reason: kv.ErrReset})
		})
		began := time.Now()
		seen := a.Revision()
		a.HasGap(seen, seen+4, kv.ErrReset)
		a.GivesEach("5")
		a.HasNothing()
		wantSince(w, began, 0, 0)
	})
}

// An event that one watch of history loses and the next one delivers was lost only by the watch. An outage in between does not change that.
func TestV16AnOutageAfterALostEventIsNotASecondLoss(t *testing.T) {
	inBubble(t, noGap, func(w *world) {
		a, _ := behind(w, func(r historyRead) {
			switch r.n {
			case 1:
				for b, err := range r.watch {
					b.Events = b.Events[1:]
					r.yield(b, err)
					return
				}
			case 2:
				r.yield(kv.Batch{}, kv.ErrUnavailable)
			default:
				r.watch(r.yield)
			}
		})
		a.GivesEach("2", "3", "4", "5")
	})
}

// An attempt that hangs is cancelled after five seconds. The time doubles with each attempt, and starts over after progress.
func TestV4AHangingReadOfHistoryIsGivenUp(t *testing.T) {
	inBubble(t, outages, func(w *world) {
		var took []time.Duration
		a, _ := behind(w, func(r historyRead) {
			switch r.n {
			case 1, 2, 3, 5, 6:
				took = append(took, r.hang())
			case 4:
				r.some(1, kv.ErrUnavailable)
			default:
				r.watch(r.yield)
			}
		})
		a.GivesEach("2", "3", "4", "5")
		if want := []time.Duration{5e9, 10e9, 20e9, 5e9, 10e9}; !slices.Equal(took, want) {
			w.broken("the attempts that delivered nothing were cancelled after %v, want %v", took, want)
		}
	})
}

func TestV4AProgressingReadOfHistoryIsNotGivenUp(t *testing.T) {
	inBubble(t, outages, func(w *world) {
		a, s := behind(w, func(r historyRead) {
			for b, err := range oneByOne(r.watch) {
				select {
				case <-time.After(4 * time.Second):
				case <-r.ctx.Done():
					r.yield(kv.Batch{}, r.ctx.Err())
					return
				}
				if !r.yield(b, err) {
					return
				}
			}
		})
		a.GivesEach("2", "3", "4", "5")
		if n := s.begun.Load(); n != 1 {
			w.broken("an attempt delivered an update every four seconds, but there were %d attempts, want one", n)
		}
	})
}

// The delays start over on progress.
func TestV11HistoryInPiecesIsReadWithoutGrowingDelays(t *testing.T) {
	inBubble(t, "V11, the backoff starts over on progress", func(w *world) {
		a, _ := behind(w, func(r historyRead) {
			r.some(1, kv.ErrUnavailable)
		})
		valuetest.Follow(w.Harness, a.Of, "").Gives("5")
		for i := 6; i <= 40; i++ {
			w.put(strconv.Itoa(i))
			w.Settle()
		}
		began := time.Now()
		for i := 2; i <= 40; i++ {
			a.Gives(strconv.Itoa(i))
		}
		wantSince(w, began, 0, 39*75*time.Millisecond)
	})
}

func TestV11AnErrorDuringAReadOfHistoryDoesNotRemoveTheDelays(t *testing.T) {
	inBubble(t, "V11, an error is returned once for each attempt, and attempts are apart", func(w *world) {
		refusal := &kv.OpError{Store: "historian", Op: "watch", Reason: kv.ErrUnsupported}
		a, _ := behind(w, func(r historyRead) {
			r.yield(kv.Batch{}, refusal)
		})
		began := time.Now()
		for range 10 {
			a.Fails(kv.ErrUnsupported)
		}
		wantSince(w, began, 10*20*time.Millisecond, time.Minute)
	})
}

func TestV5AReadOfAReplacedHistoryIsDropped(t *testing.T) {
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
		c.Waits() // it waits for history
		w.restore()
		c.Fails(kv.ErrReset) // as a *GapError
		w.Settle()
		if !ended {
			w.broken("the Value still reads the replaced history")
		}
		a.Gives("0")
		w.put("new")
		a.Gives("new")
	})
}

// A store that lies must not make a watcher spin or wait for ever.
func TestV4AnEmptyHistoryIsReadOnce(t *testing.T) {
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
