package values

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// cancelChecks are the checks of V8: a Get whose context ends.
var cancelChecks = []check{
	{"V8", "Cancel", "cancels a Get that waits for an update, and puts: that Get returns the context's error, the next Get returns the put", 0, func(e *env) {
		e.set("one")
		e.inEachMode(e.value(), func(f *watcher) {
			f.Gives("one")
			c := f.Begin()
			e.Streaming(1)
			c.Cancel()
			e.set("two")
			f.Gives("two")
			e.set("one")
		})
	}},
	{"V8", "CancelOnGet", "cuts the store off before the first Get, cancels the Get, and heals the cut: the Get returns at once, and the next Get returns the value", 0, func(e *env) {
		e.set("one")
		_, heal := e.away()
		followers := e.both(e.value())
		calls := beginAll(followers)
		e.Until("the key is read", func(c fault.Counts) bool { return c.Gets > 0 })
		for _, c := range calls {
			c.Waits()
			c.Cancel()
		}
		heal()
		allGive(followers, "one")
		e.nextArrives(followers...)
	}},
	{"V8", "in-each-phase", "cancels a Get while the store reads, before it watches, while an event is on its way, while it is cut off, and between attempts", 0, func(e *env) {
		e.inEachMode(e.value(), func(*watcher) {}) // so that the watcher below is not the first of its Value
		e.set("one")
		read := e.faults.Hold(fault.Gets)
		f := e.follow(e.value(), "the watcher of every update", value.EveryUpdate())
		e.Held(read)
		f.Begin().Cancel() // while the first read hangs
		begun := e.faults.Hold(fault.Watches)
		read.Release()
		f.Gives("one")
		e.Held(begun)
		f.Begin().Cancel() // before there is a watch
		begun.Release()

		event := e.faults.Hold(fault.Watches, fault.Answered)
		e.set("two")
		e.Held(event)
		f.Begin().Cancel() // while the event hangs
		event.Release()
		f.Gives("two")

		e.faults.Cut()
		f.Begin().Cancel() // while the store is cut off
		e.set("three")
		e.faults.Heal()
		f.Gives("three")

		refused := e.faults.Fail(-1, kv.ErrUnavailable, fault.Reads)
		e.faults.EndStreams(kv.ErrUnavailable)
		e.set("four")
		f.Begin().Cancel() // between two attempts
		refused.Remove()
		f.Gives("four")
		f.HasNothing()
	}},
	{"V8", "context-done-before", "gets with contexts that have ended: Get returns the context's error, and the next Get returns the value", 0, func(e *env) {
		e.inEachMode(e.value(), func(f *watcher) {
			for _, text := range []string{"one", "two", "three"} {
				e.set(text)
				for _, try := range []struct {
					ctx  context.Context
					want error
				}{{e.Canceled(), context.Canceled}, {e.Expired(), context.DeadlineExceeded}} {
					if v, err := f.Get(try.ctx); !errors.Is(err, try.want) {
						e.Fatalf("Get of %s returned %v, want: %v", f.Name, valuetest.Describe(v, err), try.want)
					}
				}
				f.Gives(text)
			}
		})
	}},
	{"V8", "while-updating", "cancels Gets just as updates arrive, many times: no update is lost, and none is returned twice", 0, func(e *env) {
		f, seen := e.everyUpdate()
		events, lost := 40, 0
		for i := range events {
			ctx, cancel := context.WithCancel(e.Context())
			done := make(chan valuetest.Got[string], 1)
			go func() {
				v, err := f.Get(ctx)
				done <- valuetest.Got[string]{Value: v, Err: err, Revision: f.Revision()}
			}()
			rev := e.set(fmt.Sprint(i))
			cancel() // the Get may notice this before or after the update
			got := <-done
			if errors.Is(got.Err, context.Canceled) {
				lost++
				got = f.Gives(fmt.Sprint(i))
			}
			if got.Err != nil || got.Revision != rev || got.Revision <= seen {
				e.Fatalf("Get returned %v, want the put of revision %d", got, rev)
			}
			seen = got.Revision
		}
		e.Logf("%d of %d Gets were cancelled", lost, events)
	}},
}

// closeChecks are the checks of V9.
var closeChecks = []check{
	{"V9", "CloseDuringGet", "closes a watcher twice while a Get waits: that Get and later Gets return ErrClosed, and no watch is left", 0, func(e *env) {
		e.set("one")
		v := e.value()
		e.inEachMode(v, func(f *watcher) {
			f.Gives("one")
			c := f.Begin()
			e.Streaming(1)
			f.End()
			c.Fails(value.ErrClosed)
			f.Fails(value.ErrClosed)
			if got, err := f.TryGet(); !errors.Is(err, value.ErrClosed) {
				e.Errorf("TryGet after Close returned %v", valuetest.Describe(got, err))
			}
			e.nothingLeft()
		})
	}},
	{"V9", "CloseDuringGet-of-the-store", "closes the store while Gets wait: each returns ErrClosed, and after the watchers are closed no watch is left", suite.Closing, func(e *env) {
		e.set("one")
		followers := e.both(e.value())
		allGive(followers, "one")
		calls := beginAll(followers)
		e.Streaming(1)
		e.Trace.Mark("close the store")
		e.Must("Backend.Close", e.Backend.Close(e.Store))
		for _, c := range calls {
			c.Fails(value.ErrClosed)
		}
		for _, f := range followers {
			f.Fails(value.ErrClosed)
			f.End()
		}
		e.nothingLeft()
	}},
	{"V9", "in-each-phase", "closes watchers while the store reads, answers, begins to watch, is cut off, fails and refuses: Close returns at once, and no watch is left", 0, func(e *env) {
		for name, prepare := range map[string]func(){
			"while it reads":          func() { e.faults.Hold(fault.Gets) },
			"while it answers":        func() { e.faults.Hold(fault.Gets, fault.Answered) },
			"before it watches":       func() { e.faults.Hold(fault.Watches) },
			"while it is cut off":     func() { e.faults.Cut() },
			"while it is unavailable": func() { e.faults.Fail(-1, kv.ErrUnavailable) },
			"while it refuses":        func() { e.faults.Fail(-1, kv.ErrPermission) },
			"while nothing is wrong":  func() {},
		} {
			e.Logf("now %s", name)
			e.set("one")
			prepare()
			before := e.faults.Counts().Gets
			followers := e.both(e.value())
			e.Until("the key is read", func(c fault.Counts) bool { return c.Gets > before })
			for _, f := range followers {
				f.End()
				f.End()
			}
			e.nothingLeft()
			e.faults.Clear()
		}
	}},
	{"V9", "from-many-goroutines", "closes watchers from several goroutines during their first Gets, many times: each Get returns the value or ErrClosed, and no watch is left", 0, func(e *env) {
		e.set("one")
		v := e.value()
		for range 20 {
			followers := e.both(v)
			calls := []*call{followers[0].Begin(), followers[1].Begin()}
			var closing sync.WaitGroup
			for range 3 {
				closing.Go(func() { followers[0].Close() })
				closing.Go(func() { followers[1].Close() })
			}
			for _, c := range calls {
				if got := c.Got(); got.Value != "one" && !errors.Is(got.Err, value.ErrClosed) {
					e.Fatalf("Get returned %v concurrently with Close, want the value or ErrClosed", got)
				}
			}
			closing.Wait()
			e.nothingLeft()
		}
	}},
	{"V9", "opened-again", "closes the last watcher, puts, and opens another watcher of the same Value, many times: that watcher gets what was put", 0, func(e *env) {
		v := e.value()
		for i := range 10 {
			text := fmt.Sprint(i)
			e.set(text)
			e.inEachMode(v, func(f *watcher) { f.Gives(text) })
			e.nothingLeft()
		}
	}},
}

// nothingLeft requires that no Value uses the store any more. All watchers must be closed.
func (e *env) nothingLeft() {
	if n := e.faults.Counts(); n.Streams != 0 || n.Blocked != 0 {
		e.Fatalf("all watchers are closed, but the store is still used: %v", n)
	}
}

// concurrentGetChecks are the checks of V10.
var concurrentGetChecks = []check{
	{"V10", "ConcurrentGet", "calls Get twice concurrently on one watcher: the second fails, and the first still gets the next put", 0, func(e *env) {
		e.set("one")
		e.inEachMode(e.value(), func(f *watcher) {
			f.Gives("one")
			// The check cannot know which Get came first. The Get that still waits was first.
			a, b := f.Begin(), f.Begin()
			select {
			case <-a.Done():
				a, b = b, a
			case <-b.Done():
			case <-time.After(e.AtOnce()):
				e.Fatalf("two Gets of one watcher wait concurrently")
			}
			b.Fails(value.ErrConcurrentGet)
			for range 3 {
				f.Fails(value.ErrConcurrentGet)
				if got, err := f.TryGet(); !errors.Is(err, value.ErrConcurrentGet) {
					e.Fatalf("TryGet during a Get returned %v, want ErrConcurrentGet", valuetest.Describe(got, err))
				}
			}
			a.Waits()
			e.set("two")
			a.Gives("two")
			f.HasNothing()
			e.set("one")
		})
	}},
}
