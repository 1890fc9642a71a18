package values

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// cancelChecks are those of V8: a Get whose context ends.
var cancelChecks = []check{
	{"V8", "Cancel", "cancels a Get that waits for news, and puts: that Get returns the context's error, the next one the put", 0, func(w *world) {
		w.set("one")
		w.inEachMode(w.value(), func(f *follower) {
			f.gives("one")
			c := f.begin()
			w.streaming(1)
			w.cancelled(c)
			w.set("two")
			f.gives("two")
			w.set("one")
		})
	}},
	{"V8", "CancelOnGet", "cuts the store off before the first Get, cancels the Get, and heals the cut: the Get returns at once, and the next Get returns the value", 0, func(w *world) {
		w.set("one")
		_, heal := w.away()
		followers := w.both(w.value())
		var calls []*call
		for _, f := range followers {
			calls = append(calls, f.begin())
		}
		w.until("the key is read", func(c fault.Counts) bool { return c.Gets > 0 })
		for _, c := range calls {
			c.waits()
			w.cancelled(c)
		}
		heal()
		for _, f := range followers {
			f.gives("one")
		}
		w.nextArrives(followers...)
	}},
	{"V8", "in-each-phase", "cancels a Get while the store reads, before it watches, while an event is on its way, cut off, and between attempts", 0, func(w *world) {
		w.inEachMode(w.value(), func(*follower) {}) // the watcher of the checks below is not the first of its Value
		w.set("one")
		read := w.faults.Hold(fault.Gets)
		f := w.follow(w.value(), "one of every update", value.EveryUpdate())
		w.held(read)
		w.cancelled(f.begin()) // while the first read hangs
		begun := w.faults.Hold(fault.Watches)
		read.Release()
		f.gives("one")
		w.held(begun)
		w.cancelled(f.begin()) // before there is a watch
		begun.Release()

		event := w.faults.Hold(fault.Watches, fault.Answered)
		w.set("two")
		w.held(event)
		w.cancelled(f.begin()) // while the event hangs
		event.Release()
		f.gives("two")

		w.faults.Cut()
		w.cancelled(f.begin()) // cut off
		w.set("three")
		w.faults.Heal()
		f.gives("three")

		refused := w.faults.Fail(-1, kv.ErrUnavailable, fault.Reads)
		w.faults.EndStreams(kv.ErrUnavailable)
		w.set("four")
		w.cancelled(f.begin()) // between two attempts
		refused.Remove()
		f.gives("four")
		f.nothing()
	}},
	{"V8", "context-done-before", "gets with contexts that have ended: their error is returned, and the next Get returns what they would have", 0, func(w *world) {
		w.inEachMode(w.value(), func(f *follower) {
			for _, text := range []string{"one", "two", "three"} {
				w.set(text)
				for _, try := range []struct {
					ctx  context.Context
					want error
				}{{w.Canceled(), context.Canceled}, {w.Expired(), context.DeadlineExceeded}} {
					if v, err := f.Get(try.ctx); !errors.Is(err, try.want) {
						w.Fatalf("Get of %s returned %v, and should return: %v", f.name, gotten{value: v, err: err}, try.want)
					}
				}
				f.gives(text)
			}
		})
	}},
	{"V8", "beside-updates", "cancels Gets just as updates arrive, many times: no update is lost, and none is returned twice", 0, func(w *world) {
		f, seen := w.everyUpdate()
		events, lost := 40, 0
		for i := range events {
			ctx, cancel := context.WithCancel(w.Context())
			done := make(chan gotten, 1)
			go func() {
				v, err := f.Get(ctx)
				done <- gotten{v, err, f.Revision()}
			}()
			rev := w.set(fmt.Sprint(i))
			cancel() // which the Get may meet before the update, or after it
			got := <-done
			if errors.Is(got.err, context.Canceled) {
				lost++
				got = f.gives(fmt.Sprint(i))
			}
			if got.err != nil || got.rev != rev || got.rev <= seen {
				w.Fatalf("Get returned %v, and should return the put of revision %d", got, rev)
			}
			seen = got.rev
		}
		w.Logf("%d of %d Gets were cancelled", lost, events)
	}},
}

// cancelled cancels c, and requires it to return the context's error at once.
func (w *world) cancelled(c *call) {
	c.cancel()
	select {
	case <-c.done:
	case <-time.After(w.AtOnce()):
		w.Fatalf("the context of a Get of %s has ended, and it has not returned %v later", c.f.name, w.AtOnce())
	}
	c.fails(context.Canceled)
}

// closeChecks are those of V9.
var closeChecks = []check{
	{"V9", "CloseDuringGet", "closes a watcher twice while a Get waits: that Get and later Gets return ErrClosed, and no watch is left", 0, func(w *world) {
		w.set("one")
		v := w.value()
		w.inEachMode(v, func(f *follower) {
			f.gives("one")
			c := f.begin()
			w.streaming(1)
			f.end()
			c.fails(value.ErrClosed)
			f.fails(value.ErrClosed)
			if got, err := f.TryGet(); !errors.Is(err, value.ErrClosed) {
				w.Errorf("after Close TryGet returned %v", gotten{value: got, err: err})
			}
			w.nothingLeft()
		})
	}},
	{"V9", "CloseDuringGet-of-the-store", "closes the store while Gets wait: each returns ErrClosed, and after the watchers are closed no watch is left", suite.Closing, func(w *world) {
		w.set("one")
		followers := w.both(w.value())
		var calls []*call
		for _, f := range followers {
			f.gives("one")
			calls = append(calls, f.begin())
		}
		w.streaming(1)
		w.Trace.Mark("close the store")
		w.Must("Backend.Close", w.Backend.Close(w.Store))
		for _, c := range calls {
			c.fails(value.ErrClosed)
		}
		for _, f := range followers {
			f.fails(value.ErrClosed)
			f.end()
		}
		w.nothingLeft()
	}},
	{"V9", "in-each-phase", "closes watchers while the store reads, answers, begins to watch, is cut off, fails and refuses: Close returns at once, and no watch is left", 0, func(w *world) {
		for name, prepare := range map[string]func(){
			"while it reads":          func() { w.faults.Hold(fault.Gets) },
			"while it answers":        func() { w.faults.Hold(fault.Gets, fault.Answered) },
			"before it watches":       func() { w.faults.Hold(fault.Watches) },
			"while it is cut off":     func() { w.faults.Cut() },
			"while it is unavailable": func() { w.faults.Fail(-1, kv.ErrUnavailable) },
			"while it refuses":        func() { w.faults.Fail(-1, kv.ErrPermission) },
			"while nothing is wrong":  func() {},
		} {
			w.Logf("now %s", name)
			w.set("one")
			prepare()
			before := w.faults.Counts().Gets
			followers := w.both(w.value())
			w.until("the key is read", func(c fault.Counts) bool { return c.Gets > before })
			for _, f := range followers {
				f.end()
				f.end()
			}
			w.nothingLeft()
			w.faults.Clear()
		}
	}},
	{"V9", "from-many-sides", "closes watchers from several goroutines during their first Gets, many times", 0, func(w *world) {
		w.set("one")
		v := w.value()
		for range 20 {
			followers := w.both(v)
			calls := []*call{followers[0].begin(), followers[1].begin()}
			var closing sync.WaitGroup
			for range 3 {
				closing.Go(func() { followers[0].Close() })
				closing.Go(func() { followers[1].Close() })
			}
			for _, c := range calls {
				if got := c.end(); got.value != "one" && !errors.Is(got.err, value.ErrClosed) {
					w.Fatalf("concurrently with Close, Get returned %v", got)
				}
			}
			closing.Wait()
			w.nothingLeft()
		}
	}},
	{"V9", "opened-again", "closes the last watcher, puts, and opens another of the same Value, many times: it gets what was put", 0, func(w *world) {
		v := w.value()
		for i := range 10 {
			text := fmt.Sprint(i)
			w.set(text)
			w.inEachMode(v, func(f *follower) { f.gives(text) })
			w.nothingLeft()
		}
	}},
}

// nothingLeft requires that no Value uses the store any more, now that all watchers are closed.
func (w *world) nothingLeft() {
	if n := w.faults.Counts(); n.Streams != 0 || n.Blocked != 0 {
		w.Fatalf("all watchers are closed, and the store is still used: %v", n)
	}
}

// concurrentGetChecks are those of V10.
var concurrentGetChecks = []check{
	{"V10", "ConcurrentGet", "calls Get twice concurrently on one watcher: the second fails, and the first still gets the next put", 0, func(w *world) {
		w.set("one")
		w.inEachMode(w.value(), func(f *follower) {
			f.gives("one")
			// Nobody can say from outside which of the two came first: it is the one that is left.
			a, b := f.begin(), f.begin()
			select {
			case <-a.done:
				a, b = b, a
			case <-b.done:
			case <-time.After(w.AtOnce()):
				w.Fatalf("two Gets of one watcher wait at the same time")
			}
			b.fails(value.ErrConcurrentGet)
			for range 3 {
				f.fails(value.ErrConcurrentGet)
				if got, err := f.TryGet(); !errors.Is(err, value.ErrConcurrentGet) {
					w.Fatalf("TryGet during a Get returned %v", gotten{value: got, err: err})
				}
			}
			a.waits()
			w.set("two")
			a.gives("two")
			f.nothing()
			w.set("one")
		})
	}},
}
