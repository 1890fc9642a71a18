package value_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV5NeverBackwardsByABadStream(t *testing.T) {
	for name, change := range map[string]func(kv.Batch) []kv.Batch{
		"every batch twice": func(b kv.Batch) []kv.Batch { return []kv.Batch{b, b} },
		"all again with each": func() func(b kv.Batch) []kv.Batch {
			var all []kv.Batch
			return func(b kv.Batch) []kv.Batch {
				all = append(all, b)
				return append([]kv.Batch{b}, all...)
			}
		}(),
		"two by two in the wrong order": func() func(b kv.Batch) []kv.Batch {
			var kept *kv.Batch
			return func(b kv.Batch) []kv.Batch {
				if kept == nil {
					kept = &b
					return nil
				}
				first := *kept
				kept = nil
				return []kv.Batch{b, first}
			}
		}(),
		"bookmarks of the past": func(b kv.Batch) []kv.Batch {
			return []kv.Batch{b, {Revision: 1}, {Revision: 0}, {Revision: b.Revision - 1}}
		},
		"events of another key": func(b kv.Batch) []kv.Batch {
			b.Events = append([]kv.Event{{Entry: kv.Entry{Key: "/else", Value: []byte("1"), ModRevision: b.Revision, Version: 7}}}, b.Events...)
			return []kv.Batch{b}
		},
		"batches without a revision": func(b kv.Batch) []kv.Batch {
			b.Revision = 0
			return []kv.Batch{b}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, v5+", whatever a store delivers", func(w *world) {
				w.putNumbers(0, 0)
				store := &tampered{Store: w.Store}
				v := value.New(store, w.key, value.JSON[int])
				newest, every := both(w, v, 0)
				store.tamper(change)
				seen := 0
				for i := 1; i <= 100; i++ {
					w.putNumbers(i, i)
					if i%10 != 0 {
						continue
					}
					w.pass(2 * time.Minute)
					before := newest.Revision()
					newest.Gives(i)
					if newest.Revision() <= before {
						w.broken("revision %d was returned after %d", newest.Revision(), before)
					}
					if name == "two by two in the wrong order" {
						rises(w, every, i)
					} else {
						every.GivesEach(numbers(seen+1, i)...)
					}
					seen = i
					every.HasNothing()
					newest.HasNothing()
				}
				if n := v.Status().Resets; n != 0 {
					w.broken("the Value took the history for replaced %d times", n)
				}
			})
		})
	}
}

// rises reads every update up to the number last. A store that always returns its history in the wrong order seems to have lost a part of
// it. So a gap is correct, but a step back is not.
func rises(w *world, a *valuetest.Watcher[int], last int) {
	for got := 0; got < last; {
		before := a.Revision()
		n, err := a.Get(w.Context())
		switch {
		case errors.Is(err, value.ErrLostEvent):
		case err != nil || n <= got || a.Revision() <= before:
			w.broken("after %d at revision %d Get returned %s at %d", got, before, describe(n, err), a.Revision())
		default:
			got = n
		}
	}
}

func TestV5NeverBackwardsByDuplicates(t *testing.T) {
	each(t, v5, func(w *world) {
		w.putNumbers(0, 0)
		v := w.number()
		newest, every := both(w, v, 0)
		w.Streaming(1)
		w.Duplicate(-1)
		w.putsArrive(every, 1, 50)
		w.Settle()
		newest.Gives(50)
		newest.HasNothing()
		every.HasNothing()
	})
}

func TestV5NeverBackwardsWithinABatch(t *testing.T) {
	eachMode(t, inBubble, v5+", also where no version shows that a batch is in the wrong order", func(w *world, opts ...value.WatchOption) {
		w.put("0")
		store := &tampered{Store: w.Store}
		v := value.New(store, w.key, value.JSON[int])
		a := watch(w, v, opts...)
		a.Gives(0)
		w.Streaming(1)
		h := w.Hold(fault.Watches)
		w.EndStreams(kv.ErrUnavailable)
		w.Held(h)
		w.delete()
		w.put("1")
		last := w.delete()
		store.tamper(func(b kv.Batch) []kv.Batch {
			slices.Reverse(b.Events)
			return []kv.Batch{b}
		})
		h.Release()
		for before := a.Revision(); before < last; before = a.Revision() {
			if _, err := a.Next(); a.Revision() < before || errors.Is(err, value.ErrDeleted) && a.Revision() != last {
				w.broken("after revision %d Get returned the error %v at %d", before, err, a.Revision())
			}
		}
		w.Settle()
		if s := v.Status(); s.Holes == 0 {
			w.broken("after a batch in the wrong order Status is %+v", s)
		}
	})
}

func TestV5NeverBackwardsThroughResyncs(t *testing.T) {
	each(t, v5, func(w *world) {
		w.put("0")
		// The streams end before they have delivered anything, so the delays grow.
		a := watch(w, w.number(value.WithRetry(10*time.Millisecond, 100*time.Millisecond)))
		a.Gives(0)
		last := a.Revision()
		for i := 1; i <= 60; i++ {
			switch i % 4 {
			case 0:
				w.EndStreams(kv.ErrUnavailable)
			case 1:
				w.Cut()
			case 2:
				w.compact()
			case 3:
				w.Heal()
			}
			rev := w.put(strconv.Itoa(i))
			if i%4 == 3 || i%4 == 0 {
				got, err := a.Next(value.AtLeast[int](rev))
				if err != nil || got != i || a.Revision() != rev || rev <= last {
					w.broken("Get returned %s of revision %d after revision %d, want %d of %d",
						describe(got, err), a.Revision(), last, i, rev)
				}
				last = rev
			}
		}
	})
}

func TestV5NeverBackwardsWhileASlowDecoderRuns(t *testing.T) {
	inBubble(t, v5+", also where history is lost to a watcher while a batch is decoded", func(w *world) {
		w.putNumbers(0, 0)
		decoding, decode := make(chan string), make(chan struct{})
		slow := map[string]bool{"2": true, "5": true}
		v := value.New(w.Store, w.key, func(b []byte) (int, error) {
			if slow[string(b)] {
				decoding <- string(b)
				<-decode
			}
			return value.JSON[int](b)
		}, value.WithBacklog(2))
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		w.Streaming(1)
		h := w.Hold(fault.Watches)
		w.EndStreams(kv.ErrUnavailable)
		w.Held(h)
		w.putNumbers(1, 5) // the watch delivers these in one batch
		h.Release()
		<-decoding
		last := a.Revision()
		rises := func(n int, err error) {
			w.Helper()
			var gap *value.GapError
			if errors.As(err, &gap) && gap.To < last || a.Revision() < last {
				w.broken("after revision %d there is %s at %d", last, describe(n, err), a.Revision())
			}
			last = a.Revision()
		}
		rises(a.TryGet()) // the first, if it can be had already
		decode <- struct{}{}
		<-decoding
		w.compact()
		for range 4 { // the watcher may try to catch up, and find that history is gone
			rises(a.TryGet())
			w.Settle()
		}
		decode <- struct{}{}
		for last < 7 {
			rises(a.Next())
		}
	})
}

func TestV5AnOldReadDoesNotReplaceANewerEvent(t *testing.T) {
	each(t, v5, func(w *world) {
		v := w.text()
		a := w.watchFrom("one", v)
		w.Streaming(1)
		answer := w.Hold(fault.Gets, fault.Answered)
		b := watch(w, v) // makes the Value read
		w.Held(answer)
		w.put("two")
		a.Gives("two")
		answer.Release() // the late answer is "one"
		b.Gives("two")
		a.HasNothing()
		if v.Status().Resets != 0 {
			w.broken("the Value took a late read for a replaced history")
		}
	})
}
