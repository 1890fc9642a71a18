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
	{"W12", "cancel-before", "watches with a context that is done already, or is when the sequence is iterated: nothing comes before the error", 0, func(e *env) {
		now := e.put(e.key("k"), "v")
		e.expectEndAlone(e.watchVia(e.canceled(), e.store, e.all(), now-1), context.Canceled)
		e.expectEndAlone(e.watchVia(e.expired(), e.store, e.all(), now-1), context.DeadlineExceeded)
		ctx, cancel := context.WithCancel(e.Context())
		sequence := e.store.Watch(ctx, e.all(), now-1)
		cancel()
		e.expectEndAlone(e.watchVia(e.Context(), sequenceOf{e.store, sequence}, e.all(), now-1), context.Canceled)
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
		e.end(e.begin(4)) // so that what a store starts once does not count
		before, _ := e.goroutines()
		const n = 60
		e.end(e.begin(n))
		e.expectGoroutines(before, n, "watches began and ended")
	}},
	{"W12", "no-goroutines-after-a-cut", "ends many watches while the store is cut off, half by break and half by cancel, and heals it: no goroutines are left", cut, func(e *env) {
		e.end(e.begin(4))
		before, _ := e.goroutines()
		const n = 60
		watches := e.begin(n)
		heal := e.cut()
		e.end(watches, kv.ErrUnavailable)
		heal() // before that a client may have some that would tell the server
		e.expectGoroutines(before, n, "watches were ended while cut off")
	}},
	{"W12", "never-iterated", "calls Watch many times and iterates nothing: nothing is begun", 0, func(e *env) {
		now := e.put(e.key("k"), "v")
		e.end(e.begin(4))
		before, _ := e.goroutines()
		const n = 60
		for range n {
			e.store.Watch(context.WithoutCancel(e.Context()), e.all(), now-1)
		}
		e.expectGoroutines(before, n, "sequences were made that nobody iterated")
		if e.backend.WaitIdle != nil {
			ctx, cancel := e.bounded()
			defer cancel()
			if err := e.backend.WaitIdle(ctx, e.store); err != nil {
				e.Errorf("nobody has iterated, and the server serves watches: %v", err)
			}
		}
	}},
	{"W12", "nothing-at-the-server", "begins and ends many watches: the server, too, has none left", waitIdle, func(e *env) {
		e.end(e.begin(20))
		ctx, cancel := e.bounded()
		defer cancel()
		if err := e.backend.WaitIdle(ctx, e.store); err != nil {
			e.Errorf("all watches have ended, and the server still serves some: %v", err)
		}
	}},
	{"W12", "errors-are-last", "ends watches in several ways: the error is the last that comes, with a zero batch", 0, func(e *env) {
		for name, watch := range map[string]*watching{
			"of an invalid range":       e.watch(kv.Range{}, 0),
			"after a negative revision": e.watch(e.all(), -1),
			"with a cancelled context":  e.watchVia(e.canceled(), e.store, e.all(), 0),
		} {
			if err := watch.untilEnd(); err == nil || errors.Is(err, errInVain) {
				e.Errorf("a watch %s: %s", name, endText(err))
			}
			if len(watch.batches) > 0 || watch.extra || watch.beside {
				e.Errorf("a watch %s delivered more than its error", name)
			}
		}
		w := e.watch(e.all(), e.get(e.all()).Revision)
		w.through(e.put(e.key("k"), "v"))
		w.cancel()
		e.expectEnd(w, context.Canceled)
	}},
}

// expectGoroutines requires that no more goroutines run than before, but for a few, after n times something was done.
func (e *env) expectGoroutines(before, n int, done string) {
	// A goroutine that has done its last may be seen for a moment still.
	for begin := time.Now(); ; runtime.Gosched() {
		after, stacks := e.goroutines()
		if after <= before+n/4 {
			return
		}
		if time.Since(begin) > e.atOnce() {
			e.Errorf("%d goroutines run, before there were %d, and in between %d %s. The goroutines:\n%s",
				after, before, n, done, stacks)
			return
		}
	}
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
		if w.beside {
			e.Errorf("the watch after %d ended with an error and, beside it, a batch that is not zero", w.after)
		}
	}
}

// expectEndAlone requires that of a watch that must not deliver anything before.
func (e *env) expectEndAlone(w *watching, want error) {
	e.expectEnd(w, want)
	if len(w.batches) > 0 {
		e.Errorf("the context of the watch after %d was done before, and it delivered: %s", w.after, describeBatches(w.batches))
	}
}

// begin begins n watches, all running at once.
func (e *env) begin(n int) []*watching {
	now := e.put(e.key("k"), "v")
	var watches []*watching
	for range n {
		watches = append(watches, e.watch(e.all(), now-1))
	}
	for _, w := range watches {
		w.through(now)
	}
	return watches
}

// end ends watches, half by break and half by cancel, and requires the latter to end with the context's error or one of
// the others.
func (e *env) end(watches []*watching, or ...error) {
	for i, w := range watches {
		if i%2 == 0 {
			close(w.brk)
		} else {
			w.cancel()
		}
	}
	for i, w := range watches {
		if i%2 == 1 {
			e.expectEnd(w, context.Canceled, or...)
		}
		if !w.finished(e.atOnce()) {
			e.Fatalf("a watch that was ended has not returned %v later", e.atOnce())
		}
	}
}
