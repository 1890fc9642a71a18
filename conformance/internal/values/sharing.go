package values

import (
	"fmt"
	"sync"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// sharingChecks are the checks of V12: what many watchers share.
var sharingChecks = []check{
	{"V12", "one-watch", "opens five hundred watchers of one Value, and puts: they share one watch, and it ends with the last watcher", 0, func(e *env) {
		e.set("one")
		decoder := newCounting()
		v := e.decoded(decoder.decode)
		if n := e.faults.Counts(); n != (fault.Counts{}) {
			e.Errorf("a Value without watchers has made these calls of the store: %v", n)
		}
		const watchers = 500
		var followers []*watcher
		for i := range watchers {
			var opts []value.WatchOption
			if i%10 == 0 {
				opts = append(opts, value.EveryUpdate())
			}
			followers = append(followers, e.follow(v, "one of many watchers", opts...))
		}
		for _, text := range []string{"one", "two", "three"} {
			if text != "one" {
				e.set(text)
			}
			calls := beginAll(followers)
			callsGive(calls, text)
			if n := e.faults.Counts(); n.Streams > 1 || n.Watches > 1 {
				e.Fatalf("%d watchers of one Value made these calls of the store: %v", watchers, n)
			}
		}
		decoder.expectOnceEach(e)
		for _, f := range followers {
			f.End()
		}
		e.nothingLeft()
	}},
	{"V12", "one-read", "opens hundreds of watchers while the store's answer to a read is held: one more read serves them all", 0, func(e *env) {
		e.set("one")
		v := e.value()
		read := e.faults.Hold(fault.Gets)
		first := e.follow(v, "the first")
		e.Held(read)
		const others = 300
		for range others {
			e.follow(v, "one of many watchers")
		}
		e.set("two")
		read.Release()
		first.Gives("two")
		// The read that was held, one read for all watchers that were opened then, and one for this Get if that read had ended.
		if n := e.faults.Counts(); n.Gets > 3 {
			e.Errorf("opening %d watchers together took %d reads", others+1, n.Gets)
		}
	}},
	{"V12", "decoded-once", "delivers the same updates by reads, by the watch, and again after the watch was ended: each update is decoded once", 0, func(e *env) {
		e.set("0")
		decoder := newCounting()
		v := e.decoded(decoder.decode)
		every := e.follow(v, "the watcher of every update", value.EveryUpdate())
		every.Gives("0")
		e.Streaming(1)
		for i := range 5 {
			e.faults.Freeze(fault.Watches)
			e.set(fmt.Sprint(3*i + 1))
			rev := e.set(fmt.Sprint(3*i + 2))
			second := e.follow(v, "the watcher that makes a read")
			second.Gives(fmt.Sprint(3*i+2), value.AtLeast[string](rev))
			e.faults.Heal()
			every.Gives(fmt.Sprint(3*i + 1))
			every.Gives(fmt.Sprint(3*i + 2))
			e.ReadAgain(1, func() { e.faults.EndStreams(kv.ErrUnavailable) })
			e.set(fmt.Sprint(3*i + 3))
			every.Gives(fmt.Sprint(3*i + 3))
			second.Gives(fmt.Sprint(3*i + 3))
			second.End()
		}
		decoder.expectOnceEach(e)
	}},
	{"V12", "nothing-at-the-server", "opens and closes watchers of several Values, some behind and some cut off: after that the server serves no watch", suite.WaitIdle, func(e *env) {
		e.set("one")
		for range 5 {
			followers := append(e.both(e.value()), e.both(e.value(value.WithBacklog(1)))...)
			allGive(followers, "one")
			e.Streaming(2)
			for range 4 {
				e.set("one")
			}
			for _, f := range followers {
				f.End()
			}
			e.nothingLeft()
		}
		ctx, cancel := e.Bounded()
		defer cancel()
		if err := e.Backend.WaitIdle(ctx, e.Store); err != nil {
			e.Errorf("all watchers are closed, but the server still serves watches: %v", err)
		}
	}},
}

// counting is a decoder that counts how many times it decodes each text.
type counting struct {
	mu    sync.Mutex
	calls map[string]int
}

func newCounting() *counting { return &counting{calls: make(map[string]int)} }

func (c *counting) decode(b []byte) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[string(b)]++
	return string(b), nil
}

func (c *counting) expectOnceEach(e *env) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for text, n := range c.calls {
		if n > 1 {
			e.Errorf("%q was put once, but decoded %d times", text, n)
		}
	}
}

// latestChecks are the checks of V14.
var latestChecks = []check{
	{"V14", "kept-current", "puts, deletes and puts bad values while a watcher is open and not read: Latest is the newest good value", 0, func(e *env) {
		e.set("3")
		v := e.decoded(threes)
		if r, ok := v.Latest(); ok {
			e.Errorf("before anything was read, Latest is %q", r.Value)
		}
		unread, f := e.follow(v, "the watcher that is not read"), e.follow(v, "the watcher that is read")
		f.Gives("3")
		for _, text := range []string{"6", "9", "12"} {
			rev := e.set(text)
			f.Gives(text, value.AtLeast[string](rev))
			e.expectLatest(v, text, rev)
		}
		good := e.set("15")
		f.Gives("15", value.AtLeast[string](good))
		f.FailsToDecode(e.set("bad"))
		e.expectLatest(v, "15", good)
		e.unset()
		f.Fails(value.ErrDeleted)
		if r, ok := v.Latest(); ok {
			e.Errorf("the key is deleted, but Latest is %q of revision %d", r.Value, r.Revision)
		}
		last := e.set("18")
		f.Gives("18")
		unread.End()
		f.End()
		e.set("21")
		e.expectLatest(v, "18", last) // now no watcher is open
	}},
	{"V14", "default", "calls Latest of a Value with a default before and after the first read, after a put, and after a deletion", 0, func(e *env) {
		v := e.value(value.WithDefault("none"))
		if r, ok := v.Latest(); ok {
			e.Errorf("before the first read, Latest is %q", r.Value)
		}
		f := e.follow(v, "the watcher of the newest")
		for _, step := range []struct {
			want string
			do   func()
		}{{"none", func() {}}, {"one", func() { e.set("one") }}, {"none", func() { e.unset() }}} {
			step.do()
			f.Gives(step.want)
			if r, ok := v.Latest(); !ok || r.Value != step.want {
				e.Errorf("Get returned %q, but Latest is %q (%v)", step.want, r.Value, ok)
			}
		}
	}},
	{"V14", "while-writing", "calls Latest from four goroutines while others write: it never goes back, and value and revision belong together", 0, func(e *env) {
		e.set("initial")
		v := e.value()
		f := e.follow(v, "the watcher of the newest")
		f.Gives("initial")
		over := make(chan struct{})
		var mu sync.Mutex
		seen := make(map[kv.Revision]string)
		wait := e.Background(4, func(int) error {
			var last kv.Revision
			for {
				r, ok := v.Latest()
				if !ok || r.Revision < last {
					return fmt.Errorf("value %q of revision %d (%v) is the Latest after revision %d", r.Value, r.Revision, ok, last)
				}
				if r.Revision > last {
					mu.Lock()
					seen[r.Revision] = r.Value
					mu.Unlock()
				}
				last = r.Revision
				select {
				case <-over:
					return nil
				case <-time.After(time.Millisecond): // so that the writers can run on one core
				}
			}
		})
		last := e.burst(4, 80)
		f.Gives("last", value.AtLeast[string](last))
		close(over)
		wait()
		for _, event := range e.Ledger.EventsAfter(kv.Key(e.at), 0) {
			if got, ok := seen[event.ModRevision]; ok && got != string(event.Value) {
				e.Errorf("revision %d put %q, but Latest was %q for it", event.ModRevision, event.Value, got)
			}
		}
		e.expectLatest(v, "last", last)
	}},
}

func (e *env) expectLatest(v Live, want string, rev kv.Revision) {
	if r, ok := v.Latest(); !ok || r.Value != want || r.Revision != rev {
		e.Fatalf("Latest is %q of revision %d (%v), want %q of revision %d", r.Value, r.Revision, ok, want, rev)
	}
}

// ownWriteChecks are the checks of V15.
var ownWriteChecks = []check{
	{"V15", "own-write", "puts, and gets at least that revision before the store's watch has delivered it: a read finds it", 0, func(e *env) {
		e.set("one")
		f := e.follow(e.value(), "the watcher of the newest")
		f.Gives("one")
		e.Streaming(1)
		e.faults.Freeze(fault.Watches)
		rev := e.set("two")
		f.Gives("two", value.AtLeast[string](rev))
		e.faults.Heal()
		e.nextArrives(f) // the late event of the watch is not returned again
	}},
	{"V15", "own-writes", "puts, and gets at least that revision at once, many times: Get returns that put", 0, func(e *env) {
		e.set("initial")
		e.inEachMode(e.value(), func(f *watcher) {
			f.Begin().Got()
			for i := range 20 {
				rev := e.set(fmt.Sprint(i))
				if got := f.Gives(fmt.Sprint(i), value.AtLeast[string](rev)); got.Revision != rev {
					e.Fatalf("the put of revision %d was returned with revision %d", rev, got.Revision)
				}
			}
			f.HasNothing()
		})
	}},
	{"V15", "others-writes", "puts through another store over the same data, and gets at least that revision, many times", suite.Again, func(e *env) {
		other := e.Backend.Again(e, e.Store)
		e.set("initial")
		e.inEachMode(e.value(), func(f *watcher) {
			f.Begin().Got()
			for i := range 10 {
				rev := e.setVia(other, fmt.Sprint(i))
				f.Gives(fmt.Sprint(i), value.AtLeast[string](rev))
			}
		})
	}},
	{"V15", "revision-of-another-key", "puts another key, and makes the first Get with at least that revision: it returns the value at that revision, although the value is older", 0, func(e *env) {
		e.set("one")
		for range 5 {
			rev := e.setOther()
			e.inEachMode(e.value(), func(f *watcher) { f.Gives("one", value.AtLeast[string](rev)) })
		}
	}},
	{"V15", "future", "gets at least a future revision: puts before it are skipped, and the put after it is returned", 0, func(e *env) {
		rev := e.set("one")
		e.inEachMode(e.value(), func(f *watcher) {
			c := f.Begin(value.AtLeast[string](rev + 1000))
			e.Streaming(1)
			e.set("two")
			c.Waits()
			c.Cancel()
			c = f.Begin(value.AtLeast[string](e.Ledger.Last() + 2))
			want := e.Ledger.Last() + 2
			for i := 0; ; i++ {
				if text := fmt.Sprint(i); e.set(text) >= want {
					got := c.Got()
					if got.Err != nil || got.Revision < want {
						e.Fatalf("a Get with at least revision %d returned %v", want, got)
					}
					break
				}
			}
		})
	}},
}
