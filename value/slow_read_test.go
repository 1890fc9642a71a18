package value_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV11AWatchThatWorksIsNotGivenUpForASlowRead(t *testing.T) {
	inBubble(t, "V11, a read that takes long is reported, and the watch that works goes on", func(w *world) {
		w.put("1")
		watcher := watch(w, w.text())
		watcher.Gives("1")
		w.Streaming(1)
		watches := w.Counts().Watches
		w.Delay(25*time.Second, fault.Gets)
		w.pass(75 * time.Second) // the check began at a minute
		w.put("2")
		began := time.Now()
		watcher.Gives("2")
		if d := time.Since(began); d > 0 {
			w.broken("the watch delivered the value after %v", d)
		}
		w.pass(time.Hour)
		if n := w.Counts().Watches; n != watches {
			w.broken("the store was watched %d times more", n-watches)
		}
	})
}

func TestV1AFirstReadThatTakesLongIsAnswered(t *testing.T) {
	for _, d := range []time.Duration{12 * time.Second, 52 * time.Second, 5 * time.Minute} {
		t.Run(d.String(), func(t *testing.T) {
			inBubble(t, "V1, no constant bounds a read", func(w *world) {
				w.put("1")
				w.Delay(d, fault.Gets)
				watch(w, w.text()).Gives("1")
			})
		})
	}
}

func TestV11AReadThatWasLostIsMadeAgain(t *testing.T) {
	inBubble(t, "V11, a read without an answer is made again", func(w *world) {
		w.put("1")
		h := w.Hold(fault.Gets)
		began := time.Now()
		watch(w, w.text()).Gives("1")
		if d := time.Since(began); d > 15*time.Second {
			w.broken("Get returned after %v", d)
		}
		h.Release()
	})
}

func TestV5ARestoreBetweenAReadAndItsWatchIsNoticed(t *testing.T) {
	inBubble(t, "V5, a store whose history was replaced is read again", func(w *world) {
		w.put("A")
		w.must(w.backend.Backup(w.Context()))
		watcher := watch(w, w.text(), value.EveryUpdate())
		watcher.Gives("A")
		down := w.Fail(-1, kv.ErrUnavailable)
		w.EndStreams(kv.ErrUnavailable)
		w.pass(time.Second)
		w.put("B1")
		w.put("B2")
		h := w.Hold(fault.Watches)
		down.Remove()
		w.Held(h)
		w.must(w.backend.Restore(w.Context()))
		for range 10 {
			w.putOther()
		}
		h.Release()
		w.pass(2 * time.Minute)
		if r, ok := w.text().Latest(); ok {
			w.broken("a Value without a watcher has %v", r)
		}
		w.put("C")
		ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
		defer cancel()
		for {
			got, err := watcher.Get(ctx)
			if got == "C" {
				return
			}
			if gap := (*value.GapError)(nil); err != nil && !errors.As(err, &gap) {
				w.broken("Get returned %s, want C in the end", describe(got, err))
			}
		}
	})
}

func TestV14LatestHasTheGoodValueThatCameBeforeABadOne(t *testing.T) {
	inBubble(t, "V14, no watcher is told of a good value before Latest has it", func(w *world) {
		v := value.New(w.Store, w.key, value.JSON[int])
		w.put("5")
		watcher := watch(w, v, value.EveryUpdate())
		watcher.Gives(5)
		down := w.Fail(-1, kv.ErrUnavailable)
		w.EndStreams(kv.ErrUnavailable)
		w.pass(time.Second)
		w.put("10")
		bad := w.put("bad")
		down.Remove()
		watcher.Gives(10)
		if l, ok := v.Latest(); !ok || l.Value != 10 {
			w.broken("the watcher was given 10, and Latest is %v (%v)", l.Value, ok)
		}
		watcher.FailsToDecode(bad)
		if err := v.Status().BadValue; err == nil {
			w.broken("the newest value is bad, and Status does not say so")
		}
	})
}

func TestV16AnEventLostBeforeOthersIsNoReset(t *testing.T) {
	inBubble(t, "V16, a lost event is counted, and healed by reading again", func(w *world) {
		v := w.text()
		watcher := w.watchFrom("1", v, value.EveryUpdate())
		w.Streaming(1)
		w.Drop(1)
		w.put("2")
		w.Settle()
		w.putOther()
		w.must(w.backend.(*memoryBackend).RequestProgress(w.Context()))
		watcher.Gives("2")
		if s := v.Status(); s.Holes != 1 || s.Resets != 0 {
			w.broken("Status counts %d lost events and %d resets, want 1 and 0", s.Holes, s.Resets)
		}
	})
}

func TestIsFinalSaysAfterWhatALoopEnds(t *testing.T) {
	for _, c := range []struct {
		err   error
		final bool
	}{
		{value.ErrDeleted, false}, {value.ErrStale, false}, {kv.ErrPermission, false}, {context.Canceled, false},
		{&value.DecodeError{Err: value.ErrClosed}, false}, {&value.GapError{Err: kv.ErrCompacted}, false},
		{value.ErrClosed, true}, {value.ErrWatcherClosed, true},
	} {
		if got := value.IsFinal(c.err); got != c.final {
			t.Errorf("IsFinal(%v) is %v, want %v", c.err, got, c.final)
		}
	}
	_, err := value.New[string](nil, "k", value.String).Get(t.Context())
	if !value.IsFinal(err) {
		t.Errorf("IsFinal(%v) is false for a Value that cannot work", err)
	}
}

// A running watch is not informed that its permission is gone, and may go on with bookmarks.
func TestV11ABookmarkDoesNotReplaceTheCheckOfASilentWatch(t *testing.T) {
	inBubble(t, "V11, a permission that is gone is noticed by the check of a silent watch", func(w *world) {
		w.put("1")
		w.putOther()
		v := w.text(value.WithCheck(time.Minute))
		watch(w, v).Gives("1")
		w.Streaming(1)
		w.putOther() // the watch waits for no future revision
		began := time.Now()
		for range 20 {
			w.must(w.backend.(*memoryBackend).RequestProgress(w.Context()))
			w.pass(30 * time.Second)
		}
		if age := time.Since(v.Status().Confirmed); age > 2*time.Minute {
			w.broken("in %v of bookmarks the last read was begun %v ago", time.Since(began), age)
		}
	})
}
