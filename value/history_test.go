package value_test

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// oneByOne yields each event of a watch in a batch.
func oneByOne(watch iter.Seq2[kv.Batch, error]) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range watch {
			if err != nil || b.IsBookmark() {
				if !yield(b, err) {
					return
				}
				continue
			}
			for _, ev := range b.Events {
				if !yield(kv.Batch{Revision: ev.ModRevision, Events: []kv.Event{ev}}, nil) {
					return
				}
			}
		}
	}
}

// some yields the first n events of a watch, and then err.
func some(n int, watch iter.Seq2[kv.Batch, error], err error, yield func(kv.Batch, error) bool) {
	if n > 0 {
		for b, err := range oneByOne(watch) {
			if n--; !yield(b, err) {
				return
			}
			if n == 0 {
				break
			}
		}
	}
	yield(kv.Batch{}, err)
}

// hang waits for the end of ctx, and yields it. It returns how long that took.
func hang(ctx context.Context, yield func(kv.Batch, error) bool) time.Duration {
	began := time.Now()
	<-ctx.Done()
	took := time.Since(began)
	yield(kv.Batch{}, ctx.Err())
	return took
}

func wantSince(w *world, began time.Time, least, most time.Duration) {
	w.Helper()
	if d := time.Since(began); d < least || d > most {
		w.broken("it took %v, want from %v to %v", d, least, most)
	}
}

func TestV4WhatHistoryBringsBeforeAnErrorComes(t *testing.T) {
	t.Run("its end", func(t *testing.T) {
		inBubble(t, oneGap, func(w *world) {
			s := &historian{Store: memory.New(), history: func(_ context.Context, n int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
				some(int(4-2*n), watch, &kv.CompactedError{Oldest: 9}, yield)
			}}
			a, _ := behind(w, s)
			began := time.Now()
			a.GivesEach("2", "3")
			seen := a.Revision()
			a.HasGap(seen, seen+2, kv.ErrCompacted)
			a.GivesEach("5")
			a.HasNothing()
			wantSince(w, began, 0, 0) // nothing is gained by waiting
		})
	})
	t.Run("an outage", func(t *testing.T) {
		inBubble(t, outages, func(w *world) {
			s := &historian{Store: memory.New(), history: func(_ context.Context, n int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
				if n < 5 {
					some(int(n%2), watch, kv.ErrUnavailable, yield)
					return
				}
				watch(yield)
			}}
			a, _ := behind(w, s)
			a.GivesEach("2", "3", "4", "5")
		})
	})
}

func TestV4AHistoryThatIsReplacedWhileItIsReadIsAGap(t *testing.T) {
	inBubble(t, oneGap, func(w *world) {
		s := &historian{Store: memory.New(), history: func(_ context.Context, _ int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
			yield(kv.Batch{}, &kv.OpError{Store: "historian", Op: "watch", Reason: kv.ErrReset})
		}}
		a, _ := behind(w, s)
		began := time.Now()
		seen := a.Revision()
		a.HasGap(seen, seen+4, kv.ErrReset)
		a.GivesEach("5")
		a.HasNothing()
		wantSince(w, began, 0, 0)
	})
}

// What is lost once and comes with the next attempt was lost by the watch. Another error in between says nothing about that.
func TestV16AnOutageAfterALostEventIsNoSecondLoss(t *testing.T) {
	inBubble(t, noGap, func(w *world) {
		s := &historian{Store: memory.New(), history: func(_ context.Context, n int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
			switch n {
			case 1:
				for b, err := range watch {
					b.Events = b.Events[1:]
					yield(b, err)
					return
				}
			case 2:
				yield(kv.Batch{}, kv.ErrUnavailable)
			default:
				watch(yield)
			}
		}}
		a, _ := behind(w, s)
		a.GivesEach("2", "3", "4", "5")
	})
}

// The attempts that hang are given up after five seconds, and each time after twice as long; after progress, after five again.
func TestV4AnAttemptToReadHistoryThatHangsIsGivenUp(t *testing.T) {
	inBubble(t, outages, func(w *world) {
		var took []time.Duration
		s := &historian{Store: memory.New(), history: func(ctx context.Context, n int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
			switch n {
			case 1, 2, 3, 5, 6:
				took = append(took, hang(ctx, yield))
			case 4:
				some(1, watch, kv.ErrUnavailable, yield)
			default:
				watch(yield)
			}
		}}
		a, _ := behind(w, s)
		a.GivesEach("2", "3", "4", "5")
		if want := []time.Duration{5e9, 10e9, 20e9, 5e9, 10e9}; !slices.Equal(took, want) {
			w.broken("the attempts that brought nothing were given up after %v, want %v", took, want)
		}
	})
}

func TestV4AnAttemptToReadHistoryThatGoesOnIsNotGivenUp(t *testing.T) {
	inBubble(t, outages, func(w *world) {
		s := &historian{Store: memory.New(), history: func(ctx context.Context, _ int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
			for b, err := range oneByOne(watch) {
				select {
				case <-time.After(4 * time.Second):
				case <-ctx.Done():
					yield(kv.Batch{}, ctx.Err())
					return
				}
				if !yield(b, err) {
					return
				}
			}
		}}
		a, _ := behind(w, s)
		a.GivesEach("2", "3", "4", "5")
		if n := s.begun.Load(); n != 1 {
			w.broken("an attempt that brought an update every four seconds was one of %d", n)
		}
	})
}

// The delays start over on progress.
func TestV11HistoryThatComesInPiecesIsReadWithoutGrowingDelays(t *testing.T) {
	inBubble(t, "V11, the backoff starts over on progress", func(w *world) {
		s := &historian{Store: memory.New(), history: func(_ context.Context, _ int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
			some(1, watch, kv.ErrUnavailable, yield)
		}}
		a, v := behind(w, s)
		other := watch(w, v)
		other.Gives("5")
		for i := 6; i <= 40; i++ {
			_, err := s.Store.(*memory.Store).Put(w.Context(), w.key, []byte(strconv.Itoa(i)))
			w.must(err)
			w.Settle()
		}
		began := time.Now()
		for i := 2; i <= 40; i++ {
			a.Gives(strconv.Itoa(i))
		}
		wantSince(w, began, 0, 39*75*time.Millisecond)
	})
}

func TestV11AnErrorThatIsReturnedWhileHistoryIsReadIsNoReasonToSpin(t *testing.T) {
	inBubble(t, "V11, an error is returned once for each attempt, and attempts are apart", func(w *world) {
		refusal := &kv.OpError{Store: "historian", Op: "watch", Reason: kv.ErrUnsupported}
		s := &historian{Store: memory.New(), history: func(_ context.Context, _ int32, _ iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
			yield(kv.Batch{}, refusal)
		}}
		a, _ := behind(w, s)
		began := time.Now()
		for range 10 {
			a.Fails(kv.ErrUnsupported)
		}
		wantSince(w, began, 10*20*time.Millisecond, time.Minute)
	})
}

// A reading holds what it has brought until that is taken.
func TestV4AReadingOfHistoryIsBounded(t *testing.T) {
	for name, c := range map[string]struct{ updates, size, want int }{
		"by number": {5000, 1, 4096},
		"by size":   {20, 1 << 20, 4},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "V4, memory stays bounded", func(w *world) {
				taken := make(map[int32]int)
				s := &historian{Store: memory.New(), history: func(_ context.Context, n int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
					for b, err := range oneByOne(watch) {
						taken[n]++
						if !yield(b, err) {
							return
						}
					}
				}}
				m := s.Store.(*memory.Store)
				put := func() {
					_, err := m.Put(w.Context(), w.key, []byte(strings.Repeat("x", c.size)))
					w.must(err)
				}
				put()
				v := value.New(s, w.key, value.Bytes, value.WithBacklog(1))
				a := watch(w, v, value.EveryUpdate())
				_, err := a.Next()
				w.must(err)
				for range c.updates {
					put()
				}
				w.Settle()
				for range c.updates {
					_, err := a.Next()
					w.must(err)
				}
				if taken[1] != c.want {
					w.broken("the first reading of history took %d updates, want %d", taken[1], c.want)
				}
			})
		})
	}
}
