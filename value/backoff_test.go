package value_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// attempts returns when each read began while during ran. No two of these reads may begin at the same time.
func attempts(w *world, during func()) (at []time.Time) {
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan struct{})
	n := w.Counts().Gets
	go func() {
		defer close(done)
		for w.Wait(ctx, func(c fault.Counts) bool { return c.Gets > n }) == nil {
			at = append(at, time.Now())
			n++
		}
	}()
	during()
	cancel()
	<-done
	return at
}

func TestV11DelaysGrowToTheirCapWithJitter(t *testing.T) {
	inBubble(t, v11backoff, func(w *world) {
		w.put("one")
		w.Fail(-1, kv.ErrUnavailable, fault.Reads)
		at := attempts(w, func() {
			watch(w, w.text(value.WithRetry(100*time.Millisecond, 8*time.Second)))
			w.pass(time.Hour)
		})
		if len(at) < 3600/12 || len(at) > 3600/4+10 {
			w.broken("in an hour with delays of about 8s there were %d attempts", len(at))
		}
		delays := map[time.Duration]bool{}
		for i := 1; i < len(at); i++ {
			d := at[i].Sub(at[i-1])
			mean := min(8*time.Second*2/3, 100*time.Millisecond*time.Duration(math.Pow(2, float64(min(i-1, 20)))))
			if d < mean/2-time.Millisecond || d > min(mean*3/2, 8*time.Second)+time.Millisecond {
				w.broken("delay %d was %v, want about %v", i, d, mean)
			}
			delays[d] = true
		}
		if len(delays) < len(at)/2 {
			w.broken("%d delays had %d different lengths", len(at), len(delays))
		}
	})
}

func TestV11DelaysNeedNoCap(t *testing.T) {
	inBubble(t, v11backoff, func(w *world) {
		w.put("one")
		w.Fail(4, kv.ErrUnavailable, fault.Reads)
		start := time.Now()
		watch(w, w.text(value.WithRetry(time.Second, math.MaxInt64))).Gives("one")
		if d := time.Since(start); d < 15*time.Second/2 || d > 15*time.Second*3/2 {
			w.broken("four delays, the first of a second, took %v, want about %v", d, 15*time.Second)
		}
	})
}

func TestV11AConnectionThatDiesAtOnceIsNotProgress(t *testing.T) {
	for name, begin := range map[string]func(s *tampered, w *world){
		"unavailable": func(_ *tampered, w *world) { w.Fail(-1, kv.ErrUnavailable, fault.Watches) },
		"refused":     func(_ *tampered, w *world) { w.Fail(-1, kv.ErrPermission, fault.Watches) },
		"compacted":   func(_ *tampered, w *world) { w.Fail(-1, &kv.CompactedError{}, fault.Watches) },
		"reset":       func(_ *tampered, w *world) { w.Fail(-1, kv.ErrReset, fault.Watches) },
		"after a bookmark": func(s *tampered, w *world) {
			s.greet = func(after kv.Revision) []kv.Batch { return []kv.Batch{{Revision: after}} }
			w.Fail(-1, kv.ErrUnavailable, fault.Watches)
		},
		"after old news": func(s *tampered, w *world) {
			old := kv.Event{Entry: kv.Entry{Key: w.key, Value: []byte("one"), CreateRevision: 2, ModRevision: 2, Version: 1}}
			s.greet = func(kv.Revision) []kv.Batch { return []kv.Batch{{Revision: 2, Events: []kv.Event{old}}} }
			w.Fail(-1, kv.ErrUnavailable, fault.Watches)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, v11backoff, func(w *world) {
				w.put("one")
				var log logbook
				store := &tampered{Store: w.Store}
				v := value.New(store, w.key, value.String, log.option())
				begin(store, w)
				a := watch(w, v, value.EveryUpdate())
				a.Gives("one")
				w.pass(time.Hour)
				n := w.Counts()
				if n.Watches > 600 || n.Gets > 600 {
					w.broken("in an hour of streams that die at once, the store was read %d times and watched %d times", n.Gets, n.Watches)
				}
				if n.Watches < 100 {
					w.broken("in an hour there were %d attempts", n.Watches)
				}
				if name != "reset" && log.count("\n") > 4 { // for a reset, each line is about another replaced history
					w.broken("in an hour of one outage the log has %d lines, beginning with\n%.1000s", log.count("\n"), &log)
				}
				says := "cannot be reached"
				if name == "refused" || name == "compacted" || name == "reset" { // the store is there, and answers reads
					says = "the watch ends each time"
				}
				if log.count("trying again until") != 1 || log.count(says) != 1 {
					w.broken("in an hour of one outage, the log does not say exactly once that %s:\n%.1000s", says, &log)
				}
			})
		})
	}
}

func TestV11ProgressBetweenFailuresDoesNotRemoveTheDelays(t *testing.T) {
	for name, err := range map[string]error{"reset": kv.ErrReset, "compacted": &kv.CompactedError{}, "refused": kv.ErrPermission} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, v11backoff, func(w *world) {
				w.put("one")
				store := &tampered{Store: w.Store}
				watches := 0
				store.greet = func(after kv.Revision) []kv.Batch {
					if watches++; watches > 5000 {
						return nil // the Value spins, and the time of the bubble would never pass
					}
					return []kv.Batch{{Revision: after + 1}}
				}
				w.Fail(-1, err, fault.Watches)
				watch(w, value.New(store, w.key, value.String))
				w.pass(time.Minute)
				if watches > 1300 {
					w.broken("each watch of the store ends after its first event, and %d watches were begun in a minute", watches)
				}
			})
		})
	}
}

func TestV11DelaysStartOverOnProgress(t *testing.T) {
	inBubble(t, v11backoff, func(w *world) {
		v := w.text()
		a := w.watchFrom("one", v)
		w.Settle()
		w.Fail(-1, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.pass(10 * time.Minute)
		w.Clear()
		w.pass(20 * time.Second)
		w.put("two") // its delivery is progress
		a.Gives("two")
		w.Fail(1, kv.ErrUnavailable, fault.Reads)
		w.EndStreams(kv.ErrUnavailable)
		w.put("three")
		w.pass(300 * time.Millisecond)
		if got, err := a.TryGet(); err != nil || got != "three" {
			w.broken("300ms after a short outage that followed progress, TryGet returned %s", describe(got, err))
		}
	})
}

// Progress is an update, even from a connection that ends soon, or a connection that lasts, even without updates.
func TestV11WhatCountsAsProgress(t *testing.T) {
	for name, connection := range map[string]func(w *world){
		"an update": func(w *world) {
			w.put("two")
			w.Settle()
		},
		"lasting longer than the longest delay": func(w *world) { w.pass(3 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, v11backoff, func(w *world) {
				v := w.text(value.WithRetry(time.Second, 2*time.Minute), value.WithCheck(0))
				a := w.watchFrom("one", v)
				w.Fail(-1, kv.ErrUnavailable, fault.Reads)
				w.EndStreams(kv.ErrUnavailable)
				w.pass(time.Hour)
				w.Clear()
				w.Streaming(1)
				connection(w)
				w.EndStreams(kv.ErrUnavailable)
				w.put("three")
				w.pass(1600 * time.Millisecond)
				if got, err := a.TryGet(); err != nil || got != "three" {
					w.broken("1.6s after the end of a connection that made progress, TryGet returned %s", describe(got, err))
				}
			})
		})
	}
}

func TestV11ANewWatcherDoesNotWaitForALongDelay(t *testing.T) {
	inBubble(t, "V11, a watcher that is opened in an outage is served soon when that is over", func(w *world) {
		w.put("one")
		v := w.text(value.WithRetry(50*time.Millisecond, time.Hour))
		w.Fail(-1, kv.ErrUnavailable, fault.Reads)
		watch(w, v)
		w.pass(10 * time.Hour)
		w.Clear()
		a := watch(w, v)
		w.pass(time.Second)
		if got, err := a.TryGet(); err != nil || got != "one" {
			w.broken("a second after it was opened TryGet returned %s", describe(got, err))
		}
	})
}
