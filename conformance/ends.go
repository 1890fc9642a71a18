package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// endChecks are those of W12: how watches end, and what is left.
var endChecks = []check{
	{"W12", "cancel-while-waiting", "cancels the context of watches that wait: for a first write, for another, for the future", 0, func(e *env) {
		now := e.put(e.key("k"), "v")
		for _, after := range []kv.Revision{now, now - 1, now + 100} {
			w := e.watch(e.all(), after)
			if after < now {
				w.through(now)
			}
			w.cancel()
			e.expectEnd(w, context.Canceled)
		}
	}},
	{"W12", "cancel-before", "watches with a context that is done already", 0, func(e *env) {
		now := e.put(e.key("k"), "v")
		e.expectEnd(e.watchVia(e.canceled(), e.store, e.all(), now-1), context.Canceled)
		e.expectEnd(e.watchVia(e.expired(), e.store, e.all(), now-1), context.DeadlineExceeded)
	}},
	{"W12", "deadline", "watches with a context that has a deadline, and waits for it", 0, func(e *env) {
		ctx, cancel := context.WithTimeout(e.Context(), 50*time.Millisecond)
		defer cancel()
		w := e.watchVia(ctx, e.store, e.all(), e.get(e.all()).Revision)
		e.expectEnd(w, context.DeadlineExceeded)
	}},
	{"W12", "cancel-with-more-to-come", "cancels the context in the middle of a long past: no batch comes after that", 0, func(e *env) {
		long := e.longHistory()
		w := long.watch(long.all(), long.start)
		w.next()
		w.cancel()
		if b, err, ok := w.tryNext(); ok {
			e.Errorf("a batch came after the context was done: %s", describeBatches([]kv.Batch{b}))
			w.stop()
		} else {
			e.expectContextError("the watch", err, context.Canceled)
		}
	}},
	{"W12", "break", "breaks out of the loop at its first batch, and at one in the middle", 0, func(e *env) {
		start := e.get(e.all()).Revision
		for i := range 5 {
			e.put(e.key("k"), fmt.Sprint(i))
			w := e.watchVia(context.WithoutCancel(e.Context()), e.store, e.all(), start)
			w.next()
			close(w.brk)
			if !w.finished(e.atOnce()) {
				e.Errorf("the loop was left with break, and the sequence has not returned %v later", e.atOnce())
			}
			w.cancel()
		}
	}},
	{"W12", "cut-off", "cancels a watch, and a get, of a store that is cut off", cut, func(e *env) {
		now := e.put(e.key("k"), "v")
		running := e.watch(e.all(), now-1)
		running.through(now)
		heal := e.cut()
		late := e.watch(e.all(), now)
		for _, w := range []*watching{running, late} {
			w.cancel()
			e.expectEnd(w, context.Canceled, kv.ErrUnavailable) // it may have ended before that, as it was cut off
		}
		heal()
	}},
	{"W12", "cut-off-break", "breaks out of a watch whose store was cut off since its last batch", cut, func(e *env) {
		now := e.put(e.key("k"), "v")
		w := e.watchVia(context.WithoutCancel(e.Context()), e.store, e.all(), now-1)
		w.through(now)
		heal := e.cut()
		close(w.brk)
		if !w.finished(e.atOnce()) {
			e.Errorf("the loop was left with break while cut off, and the sequence has not returned %v later", e.atOnce())
		}
		w.cancel()
		heal()
	}},
	{"W12", "no-goroutines", "begins and ends many watches, half by break and half by cancel: no goroutines are left", 0, func(e *env) {
		e.beginAndEnd(4) // so that what a store starts once does not count
		before, _ := e.goroutines()
		const n = 60
		e.beginAndEnd(n)
		// A goroutine that has done its last may be seen for a moment still.
		for begin := time.Now(); ; runtime.Gosched() {
			after, stacks := e.goroutines()
			if after <= before+n/4 {
				return
			}
			if time.Since(begin) > e.atOnce() {
				e.Errorf("%d goroutines run, before there were %d, and in between %d watches began and ended. The goroutines:\n%s",
					after, before, n, stacks)
				return
			}
		}
	}},
	{"W12", "nothing-at-the-server", "begins and ends many watches: the server, too, has none left", waitIdle, func(e *env) {
		e.beginAndEnd(20)
		ctx, cancel := e.bounded()
		defer cancel()
		if err := e.backend.WaitIdle(ctx, e.store); err != nil {
			e.Errorf("all watches have ended, and the server still serves some: %v", err)
		}
	}},
	{"W12", "errors-are-last", "ends watches in several ways: the error is the last that comes, with a zero batch", 0, func(e *env) {
		for name, watch := range map[string]*watching{
			"of an invalid range":      e.watch(kv.Range{}, 0),
			"with a cancelled context": e.watchVia(e.canceled(), e.store, e.all(), 0),
		} {
			if err := watch.untilEnd(); err == nil || errors.Is(err, errInVain) {
				e.Errorf("a watch %s: %s", name, endText(err))
			}
			if len(watch.batches) > 0 || watch.extra {
				e.Errorf("a watch %s delivered more than its error", name)
			}
		}
	}},
}

// canceled returns a context that is cancelled, and expired one whose deadline is past.
func (e *env) canceled() context.Context {
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	return ctx
}

func (e *env) expired() context.Context {
	ctx, cancel := context.WithDeadline(e.Context(), time.Now().Add(-time.Second))
	e.Cleanup(cancel)
	return ctx
}

// expectEnd requires a watch whose context is done to end at once, with the context's error or one of the others, and
// nothing after it.
func (e *env) expectEnd(w *watching, want error, or ...error) {
	limit := e.atOnce()
	_, err, ok := w.nextWithin(limit)
	if ok { // a batch that was on its way to the consumer before the context ended
		_, err, ok = w.nextWithin(limit)
	}
	switch {
	case ok:
		e.Errorf("the watch after %d goes on, though its context has ended: %v", w.after, want)
	case errors.Is(err, errInVain):
		e.Errorf("the watch after %d has not ended %v after its context: %v", w.after, limit, want)
	default:
		if !slices.ContainsFunc(or, func(other error) bool { return errors.Is(err, other) }) {
			e.expectContextError(fmt.Sprintf("the watch after %d", w.after), err, want)
		}
		if w.extra {
			e.Errorf("the watch after %d went on after its error", w.after)
		}
	}
}

// beginAndEnd begins n watches, all running at once, and ends them.
func (e *env) beginAndEnd(n int) {
	now := e.put(e.key("k"), "v")
	var watches []*watching
	for range n {
		watches = append(watches, e.watch(e.all(), now-1))
	}
	for _, w := range watches {
		w.through(now)
	}
	for i, w := range watches {
		if i%2 == 0 {
			close(w.brk)
		} else {
			w.cancel()
		}
	}
	for i, w := range watches {
		if i%2 == 1 {
			e.expectEnd(w, context.Canceled)
		}
		if !w.finished(e.atOnce()) {
			e.Fatalf("a watch that was ended has not returned %v later", e.atOnce())
		}
	}
}
