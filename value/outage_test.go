package value_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV11AnOutageIsNotAnErrorOfGet(t *testing.T) {
	for name, out := range map[string]func(w *world){
		"cut": func(w *world) { w.Cut() },
		"unavailable": func(w *world) {
			w.Fail(-1, kv.ErrUnavailable, fault.Reads)
			w.EndStreams(kv.ErrUnavailable)
		},
		"another error": func(w *world) {
			w.Fail(-1, errors.New("strange"), fault.Reads)
			w.EndStreams(errors.New("strange"))
		},
		"streams that die": func(w *world) {
			w.Fail(-1, kv.ErrUnavailable, fault.Watches)
			w.EndStreams(kv.ErrUnavailable)
		},
		"streams that are compacted": func(w *world) {
			w.Fail(-1, &kv.CompactedError{}, fault.Watches)
			w.EndStreams(&kv.CompactedError{})
		},
		"streams that are reset": func(w *world) {
			w.Fail(-1, kv.ErrReset, fault.Watches)
			w.EndStreams(kv.ErrReset)
		},
		"streams that end without an error": func(w *world) { w.EndStreams(nil) },
	} {
		for mode, opts := range modes {
			if name == "streams that are reset" && mode == "every" {
				continue // a watcher of every update returns a gap for it
			}
			t.Run(name+"/"+mode, func(t *testing.T) {
				inBubble(t, v11, func(w *world) {
					w.put("one")
					v := w.text()
					a := watch(w, v, opts...)
					w.BePatient(1000 * time.Hour)
					a.Gives("one")
					w.Settle()
					out(w)
					c := a.Begin()
					w.pass(10 * time.Hour)
					c.Waits()
					w.Clear()
					w.put("two")
					c.Gives("two")
					w.pass(time.Minute)
					if s := v.Status(); !s.Connected {
						w.broken("a minute after the outage Status is %+v", s)
					}
				})
			})
		}
	}
}

func TestV11AnOutageFromTheBeginning(t *testing.T) {
	inBubble(t, v11, func(w *world) {
		w.put("one")
		w.Fail(-1, kv.ErrUnavailable)
		v := w.text()
		if s := v.Status(); !s.Since.IsZero() {
			w.broken("before the first attempt Status is %+v", s)
		}
		out := time.Now()
		c := watch(w, v).Begin()
		w.pass(20 * time.Minute)
		c.Waits()
		if s := v.Status(); s.Connected || !s.Since.Equal(out) || !errors.Is(s.LastError, kv.ErrUnavailable) || !s.Confirmed.IsZero() {
			w.broken("before the first read was answered Status is %+v", s)
		}
		w.Clear()
		c.Gives("one")
	})
}

// stuck is a store whose reads hang. When their context ends, their error says why they hung.
type stuck struct{ kv.Store }

func (stuck) Get(ctx context.Context, _ kv.Range) (kv.Snapshot, error) {
	<-ctx.Done()
	return kv.Snapshot{}, fmt.Errorf("no route to 10.0.0.1: %w", ctx.Err())
}

func TestV11TheErrorOfATimedOutReadIsInStatus(t *testing.T) {
	inBubble(t, v11+", and Status gives the last error", func(w *world) {
		v := value.New(stuck{w.Store}, w.key, value.String)
		c := watch(w, v).Begin()
		w.pass(time.Minute)
		c.Waits()
		err := v.Status().LastError
		if !errors.Is(err, kv.ErrUnavailable) || !strings.Contains(err.Error(), "no route to 10.0.0.1") {
			w.broken("the last error is %v", err)
		}
	})
}

func TestV11AnErrorThatAReadCuresIsFollowedByAReadAtOnce(t *testing.T) {
	inBubble(t, "V11, if reading again helps, the store is read again at once, before the bubble is idle", func(w *world) {
		a := w.watchFrom("one", w.text())
		w.Streaming(1)
		w.Silence()
		w.put("two")
		w.EndStreams(&kv.CompactedError{})
		synctest.Wait()
		if got, err := a.TryGet(); err != nil || got != "two" {
			w.broken("when the bubble was idle, TryGet returned %s", describe(got, err))
		}
	})
}

func TestV11TheResultOfTheReadAfterAnOutageIsReturnedAtOnce(t *testing.T) {
	for _, puts := range []int{1, 5} {
		t.Run(fmt.Sprintf("after %d puts", puts), func(t *testing.T) {
			inBubble(t, "V1, V3, V11: the newest value is returned as soon as it is read, before the watch delivers the updates before it", func(w *world) {
				w.putNumbers(0, 0)
				v := w.number()
				newest, every := both(w, v, 0)
				w.Streaming(1)
				read := w.Hold(fault.Gets)
				w.EndStreams(kv.ErrUnavailable)
				w.Held(read)
				last := w.putNumbers(1, puts)
				again := w.Hold(fault.Watches)
				read.Release()
				w.Held(again)
				w.Settle()
				if s := v.Status(); s.Revision != last {
					w.broken("Status is %+v, want revision %d", s, last)
				}
				if got, ok := v.Latest(); !ok || got.Value != puts || got.Revision != last {
					w.broken("Latest is %+v", got)
				}
				if got, err := newest.TryGet(); got != puts || err != nil {
					w.broken("TryGet returned %s, want %d", describe(got, err), puts)
				}
				again.Release()
				every.GivesEach(numbers(1, puts)...)
				every.HasNothing()
			})
		})
	}
}
