package stores

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// endChecks are the checks of W12: how watches end, and what they leave.
var endChecks = []check{
	{"W12", "cancel-while-waiting", "cancels the contexts of watches that wait for a first write, for another write, or for the future, also with a cause: each ends with the context's error", 0, func(e *env) {
		now := e.Put(e.Key("k"), "v")
		for _, after := range []kv.Revision{now, now - 1, now + 100} {
			ctx, cancel := context.WithCancelCause(e.Context())
			defer cancel(nil)
			plain, withCause := e.Watch(e.All(), after), e.WatchVia(ctx, e.Store, e.All(), after)
			e.underWay(plain, withCause)
			if after < now {
				plain.Through(now)
				withCause.Through(now)
			}
			plain.Cancel()
			cancel(errors.New("the cause, which is not the context's error"))
			e.expectEnd(plain, context.Canceled)
			e.expectEnd(withCause, context.Canceled)
		}
	}},
	{"W12", "cancel-before", "watches with a context that is done at the call or at the iteration: nothing comes before the error", 0, func(e *env) {
		now := e.Put(e.Key("k"), "v")
		e.expectEndAlone(e.WatchVia(e.Canceled(), e.Store, e.All(), now-1), context.Canceled)
		e.expectEndAlone(e.WatchVia(e.Expired(), e.Store, e.All(), now-1), context.DeadlineExceeded)
		ctx, cancel := context.WithCancel(e.Context())
		sequence := e.Store.Watch(ctx, e.All(), now-1)
		cancel()
		e.expectEndAlone(e.WatchVia(e.Context(), sequenceOf{e.Store, sequence}, e.All(), now-1), context.Canceled)
	}},
	{"W12", "deadline", "watches with a context that has a deadline, and waits for the deadline", 0, func(e *env) {
		ctx, cancel := context.WithTimeout(e.Context(), 50*time.Millisecond)
		defer cancel()
		w := e.WatchVia(ctx, e.Store, e.All(), e.Get(e.All()).Revision)
		e.expectEnd(w, context.DeadlineExceeded)
	}},
	{"W12", "cancel-with-more-to-come", "cancels the context in the middle of a long past: no batch comes after that", 0, func(e *env) {
		long := e.sharedHistory()
		w := long.Watch(long.All(), long.start)
		w.Next()
		w.Cancel()
		if b, err, ok := w.TryNext(); ok {
			e.Errorf("a batch was delivered after the context was done: %s", suite.DescribeBatches([]kv.Batch{b}))
			w.Stop()
		} else {
			e.expectContextError("the watch", err, context.Canceled)
		}
	}},
	{"W12", "break", "breaks out of the loop at the first batch, and at a batch in the middle", 0, func(e *env) {
		start := e.Get(e.All()).Revision
		for i := range 5 {
			e.Put(e.Key("k"), fmt.Sprint(i))
			w := e.WatchVia(context.WithoutCancel(e.Context()), e.Store, e.All(), start)
			w.Next()
			close(w.Brk)
			if !w.Finished(e.AtOnce()) {
				e.Errorf("the loop ended with break, but the sequence has not returned %v later", e.AtOnce())
			}
			w.Cancel()
		}
	}},
	{"W12", "cut-off", "cancels a watch, and a get, of a store that is cut off", suite.Cut, func(e *env) {
		now := e.Put(e.Key("k"), "v")
		running := e.Watch(e.All(), now-1)
		running.Through(now)
		heal := e.Cut()
		late := e.Watch(e.All(), now)
		for _, w := range []*suite.Watching{running, late} {
			w.Cancel()
			e.expectEnd(w, context.Canceled, kv.ErrUnavailable) // the watch may have ended earlier, because of the cut
		}
		heal()
	}},
	{"W12", "cut-off-break", "breaks out of a watch whose store was cut off since its last batch", suite.Cut, func(e *env) {
		now := e.Put(e.Key("k"), "v")
		w := e.WatchVia(context.WithoutCancel(e.Context()), e.Store, e.All(), now-1)
		w.Through(now)
		heal := e.Cut()
		close(w.Brk)
		if !w.Finished(e.AtOnce()) {
			e.Errorf("the loop ended with break while the store was cut off, but the sequence has not returned %v later", e.AtOnce())
		}
		w.Cancel()
		heal()
	}},
	{"W12", "no-goroutines", "begins many watches and ends half of them by break and half by cancel: no goroutines are left", 0, func(e *env) {
		e.end(e.begin(4)) // so that goroutines which a store starts only once do not count
		before, _ := e.Goroutines()
		const n = 60
		e.end(e.begin(n))
		e.expectGoroutines(before, n, "watches began and ended")
	}},
	{"W12", "no-goroutines-after-a-cut", "ends many watches while the store is cut off, half of them by break and half by cancel, and heals the cut: no goroutines are left", suite.Cut, func(e *env) {
		e.end(e.begin(4))
		before, _ := e.Goroutines()
		const n = 60
		watches := e.begin(n)
		heal := e.Cut()
		e.end(watches, kv.ErrUnavailable)
		heal() // before the heal, a client may have goroutines that wait to notify the server
		e.expectGoroutines(before, n, "watches were ended while cut off")
		e.expectUsable("watches")
	}},
	{"W12", "no-goroutines-of-watches-without-events", "cancels many watches that have delivered nothing, half of them at once and half when they wait: no goroutines are left, and the server has no watch left", 0, func(e *env) {
		e.end(e.begin(4))
		now := e.Ledger.Last()
		before, _ := e.Goroutines()
		const n = 60
		var watches []*suite.Watching
		for i := range n {
			w := e.Watch(e.All(), now+1000)
			if watches = append(watches, w); i%2 == 0 {
				<-w.Begun
				w.Cancel()
			}
		}
		e.underWay(watches...)
		for _, w := range watches {
			w.Cancel()
			e.expectEnd(w, context.Canceled)
		}
		e.expectGoroutines(before, n, "watches were cancelled before they had delivered anything")
		e.expectIdle()
	}},
	{"W12", "no-goroutines-of-refused-watches", "begins many watches that are refused: no goroutines are left", 0, func(e *env) {
		e.end(e.begin(4))
		before, _ := e.Goroutines()
		const n = 20
		for range n {
			for _, w := range []*suite.Watching{e.Watch(kv.Key(""), 0), e.Watch(kv.Range{}, 0), e.Watch(e.All(), -1)} {
				e.Logf("  %s ends: %v", w, w.UntilEnd())
			}
		}
		e.expectGoroutines(before, n, "watches of invalid ranges, and as many of invalid keys and after negative revisions, were refused")
	}},
	{"W12", "no-goroutines-of-lost-watches", "ends the streams of the store while many watches run, and ends those that go on: no goroutines are left", suite.EndStreams, func(e *env) {
		e.end(e.begin(4))
		before, _ := e.Goroutines()
		const n = 40
		watches := e.begin(n)
		e.EndStreams()
		last := e.Put(e.Key("k"), "after the streams have ended")
		for _, w := range watches {
			for w.Position() < last {
				if _, err, ok := w.TryNext(); !ok {
					e.expectLost(w, err)
					break
				}
			}
			w.Stop()
		}
		e.expectGoroutines(before, n, "watches ran when the streams of the store ended, and then ended")
	}},
	{"W12", "nothing-with-the-context", "breaks out of many watches whose context lives on: nothing that they have registered with the context is left", 0, func(e *env) {
		e.end(e.begin(4))
		now := e.Put(e.Key("k"), "v")
		before, _ := e.Goroutines()
		ctx := e.countingContext()
		const n = 40
		var watches []*suite.Watching
		for range n {
			watches = append(watches, e.WatchVia(e.Context(), sequenceOf{e.Store, e.Store.Watch(ctx, e.All(), now-1)}, e.All(), now-1))
		}
		for _, w := range watches {
			w.Through(now)
			close(w.Brk)
		}
		for _, w := range watches {
			if !w.Finished(e.AtOnce()) {
				e.Fatalf("a watch that was ended has not returned %v later", e.AtOnce())
			}
		}
		e.expectGoroutines(before, n, "watches were ended by break, while their context lived on")
		e.expectUnregistered(ctx, n)
	}},
	{"W12", "never-iterated", "calls Watch many times and never iterates: no watch begins", 0, func(e *env) {
		now := e.Put(e.Key("k"), "v")
		e.end(e.begin(4))
		before, _ := e.Goroutines()
		const n = 60
		for range n {
			e.Store.Watch(context.WithoutCancel(e.Context()), e.All(), now-1)
		}
		e.expectGoroutines(before, n, "sequences were made and never iterated")
		e.expectIdle()
	}},
	{"W12", "nothing-at-the-server", "begins and ends many watches: the server has no watch left", suite.WaitIdle, func(e *env) {
		e.end(e.begin(20))
		e.expectIdle()
	}},
	{"W12", "errors-are-last", "ends watches in several ways, and iterates each sequence twice: the error comes last, with a zero batch", 0, func(e *env) {
		for name, sequence := range map[string]iter.Seq2[kv.Batch, error]{
			"of an invalid range":       e.Store.Watch(e.Context(), kv.Range{}, 0),
			"after a negative revision": e.Store.Watch(e.Context(), e.All(), -1),
			"with a cancelled context":  e.Store.Watch(e.Canceled(), e.All(), 0),
		} {
			for _, nth := range []string{"first", "second"} {
				watch := e.WatchVia(e.Context(), sequenceOf{e.Store, sequence}, e.All(), 0)
				if err := watch.UntilEnd(); err == nil || errors.Is(err, suite.ErrInVain) {
					e.Errorf("the %s iteration of a watch %s should end with an error, but: %s", nth, name, suite.EndText(err))
				}
				if len(watch.Batches) > 0 || watch.Extra || watch.WithBatch {
					e.Errorf("the %s iteration of a watch %s delivered more than its error", nth, name)
				}
			}
		}
		w := e.Watch(e.All(), e.Get(e.All()).Revision)
		w.Through(e.Put(e.Key("k"), "v"))
		w.Cancel()
		e.expectEnd(w, context.Canceled)
	}},
}

// expectIdle requires that the server serves no watch, if the backend can tell.
func (e *env) expectIdle() {
	if e.Backend.WaitIdle == nil {
		return
	}
	ctx, cancel := e.Bounded()
	defer cancel()
	if err := e.Backend.WaitIdle(ctx, e.Store); err != nil {
		e.Errorf("no watch is iterated, but the server still serves some: %v", err)
	}
}

// expectGoroutines requires that only a few more goroutines run than before, although something was done n times.
func (e *env) expectGoroutines(before, n int, done string) {
	// A goroutine that is ending may still be visible for a moment, or may wait to retry something. The pause lets time pass, even in a
	// bubble.
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		after, stacks := e.Goroutines()
		if after <= before+n/4 {
			return
		}
		if time.Since(begin) > e.AtOnce() {
			e.Errorf("%d goroutines run. Before, there were %d. In between, %d %s. The goroutines:\n%s",
				after, before, n, done, stacks)
			return
		}
	}
}

// countingContext counts the functions that are registered with it by [context.AfterFunc], and the contexts that are derived from it and
// not yet cancelled.
type countingContext struct {
	context.Context
	done       chan struct{} // another one than that of Context, so that package context registers nothing with Context itself
	registered atomic.Int32
}

func (c *countingContext) Done() <-chan struct{} { return c.done }

// AfterFunc is what package context calls to register f.
func (c *countingContext) AfterFunc(f func()) (stop func() bool) {
	c.registered.Add(1)
	over := sync.OnceFunc(func() { c.registered.Add(-1) })
	unregister := context.AfterFunc(c.Context, f)
	return func() bool {
		over()
		return unregister()
	}
}

// countingContext returns one that ends with the check.
func (e *env) countingContext() *countingContext {
	c := &countingContext{Context: e.Context(), done: make(chan struct{})}
	context.AfterFunc(c.Context, func() { close(c.done) })
	return c
}

// expectUnregistered requires that only a few functions are registered with the context of n watches that have ended.
func (e *env) expectUnregistered(ctx *countingContext, n int) {
	for begin := time.Now(); ; time.Sleep(time.Millisecond) { // as in expectGoroutines
		left := int(ctx.registered.Load())
		if left <= n/4 {
			return
		}
		if time.Since(begin) > e.AtOnce() {
			e.Errorf("%d watches were ended by break, while their context lives on, and %d functions are still registered with the context. Each holds "+
				"memory as long as the context lives, and starts a goroutine when it ends. Call the function that context.AfterFunc returns, and "+
				"cancel each context that is derived from that of the watch", n, left)
			return
		}
	}
}

// expectEnd requires that a watch whose context is done ends at once, with the context's error or one of the other errors, and delivers
// nothing after that.
func (e *env) expectEnd(w *suite.Watching, want error, or ...error) {
	limit := e.AtOnce()
	_, err, ok := w.NextWithin(limit)
	if ok { // a batch that was on its way to the consumer before the context ended
		_, err, ok = w.NextWithin(limit)
	}
	switch {
	case ok:
		e.Errorf("the watch after %d goes on, although its context has ended: %v", w.After, want)
	case errors.Is(err, suite.ErrInVain):
		e.Errorf("the watch after %d has not ended %v after its context ended: %v", w.After, limit, want)
	default:
		if !slices.ContainsFunc(or, func(other error) bool { return errors.Is(err, other) }) {
			e.expectContextError(fmt.Sprintf("the watch after %d", w.After), err, want)
		}
		if w.Extra {
			e.Errorf("the watch after %d went on after its error", w.After)
		}
		if w.WithBatch {
			e.Errorf("the watch after %d ended with an error and a batch that is not zero", w.After)
		}
	}
}

// expectEndAlone is expectEnd for a watch that must not deliver anything before it ends.
func (e *env) expectEndAlone(w *suite.Watching, want error) {
	e.expectEnd(w, want)
	if len(w.Batches) > 0 {
		e.Errorf("the context of the watch after %d was done before, but the watch delivered: %s", w.After, suite.DescribeBatches(w.Batches))
	}
}

// begin begins n watches that run concurrently.
func (e *env) begin(n int) []*suite.Watching {
	now := e.Put(e.Key("k"), "v")
	var watches []*suite.Watching
	for range n {
		watches = append(watches, e.Watch(e.All(), now-1))
	}
	for _, w := range watches {
		w.Through(now)
	}
	return watches
}

// end ends half of the watches by break and half by cancel. The latter must end with the context's error or one of the others.
func (e *env) end(watches []*suite.Watching, or ...error) {
	for i, w := range watches {
		if i%2 == 0 {
			close(w.Brk)
		} else {
			w.Cancel()
		}
	}
	for i, w := range watches {
		if i%2 == 1 {
			e.expectEnd(w, context.Canceled, or...)
		}
		if !w.Finished(e.AtOnce()) {
			e.Fatalf("a watch that was ended has not returned %v later", e.AtOnce())
		}
	}
}
