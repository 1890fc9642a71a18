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

// sharingChecks are those of V12: what many watchers have in common.
var sharingChecks = []check{
	{"V12", "one-watch", "opens five hundred watchers of one Value, and puts: they share one watch, which ends with the last watcher", 0, func(w *world) {
		w.set("one")
		decoder := newCounting()
		v := w.decoded(decoder.decode)
		if n := w.faults.Counts(); n != (fault.Counts{}) {
			w.Errorf("a Value without watchers has asked the store for: %v", n)
		}
		const watchers = 500
		var followers []*follower
		for i := range watchers {
			var opts []value.WatchOption
			if i%10 == 0 {
				opts = append(opts, value.EveryUpdate())
			}
			followers = append(followers, w.follow(v, "one of many", opts...))
		}
		for _, text := range []string{"one", "two", "three"} {
			if text != "one" {
				w.set(text)
			}
			var calls []*call
			for _, f := range followers {
				calls = append(calls, f.begin())
			}
			for _, c := range calls {
				c.gives(text)
			}
			if n := w.faults.Counts(); n.Streams > 1 || n.Watches > 1 {
				w.Fatalf("%d watchers of one Value made of the store: %v", watchers, n)
			}
		}
		decoder.expectOnceEach(w)
		for _, f := range followers {
			f.end()
		}
		w.nothingLeft()
	}},
	{"V12", "one-read", "opens hundreds of watchers while the store's answer to a read is held: one more read serves them all", 0, func(w *world) {
		w.set("one")
		v := w.value()
		read := w.faults.Hold(fault.Gets)
		first := w.follow(v, "the first")
		w.held(read)
		const others = 300
		for range others {
			w.follow(v, "one of many")
		}
		w.set("two")
		read.Release()
		first.gives("two")
		// The one that was held, the one for all who came meanwhile, and, if that was over, the one for this Get.
		if n := w.faults.Counts(); n.Gets > 3 {
			w.Errorf("opening %d watchers together took %d reads", others+1, n.Gets)
		}
	}},
	{"V12", "decoded-once", "delivers the same updates by reads, by the watch, and after the watch was ended: each is decoded once", 0, func(w *world) {
		w.set("0")
		decoder := newCounting()
		v := w.decoded(decoder.decode)
		every := w.follow(v, "one of every update", value.EveryUpdate())
		every.gives("0")
		w.streaming(1)
		for i := range 5 {
			w.faults.Freeze(fault.Watches)
			w.set(fmt.Sprint(3*i + 1))
			rev := w.set(fmt.Sprint(3*i + 2))
			second := w.follow(v, "one that has a read made")
			second.gives(fmt.Sprint(3*i+2), value.AtLeast[string](rev))
			w.faults.Heal()
			every.gives(fmt.Sprint(3*i + 1))
			every.gives(fmt.Sprint(3*i + 2))
			w.readAfresh(1, func() { w.faults.EndStreams(kv.ErrUnavailable) })
			w.set(fmt.Sprint(3*i + 3))
			every.gives(fmt.Sprint(3*i + 3))
			second.gives(fmt.Sprint(3*i + 3))
			second.end()
		}
		decoder.expectOnceEach(w)
	}},
	{"V12", "nothing-at-the-server", "opens and closes watchers of several Values, some behind and some cut off: the server serves no watch then", suite.WaitIdle, func(w *world) {
		w.set("one")
		for range 5 {
			followers := append(w.both(w.value()), w.both(w.value(value.WithBacklog(1)))...)
			for _, f := range followers {
				f.gives("one")
			}
			w.streaming(2)
			for range 4 {
				w.set("one")
			}
			for _, f := range followers {
				f.end()
			}
			w.nothingLeft()
		}
		ctx, cancel := w.Bounded()
		defer cancel()
		if err := w.Backend.WaitIdle(ctx, w.Store); err != nil {
			w.Errorf("all watchers are closed, and the server still serves watches: %v", err)
		}
	}},
}

// counting is a decoder that counts what it is given.
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

func (c *counting) expectOnceEach(w *world) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for text, n := range c.calls {
		if n > 1 {
			w.Errorf("%q was put once, and decoded %d times", text, n)
		}
	}
}

// latestChecks are those of V14.
var latestChecks = []check{
	{"V14", "kept-current", "puts, deletes and puts bad values while a watcher is open and not read: Latest is the newest good value", 0, func(w *world) {
		w.set("3")
		v := w.decoded(threes)
		if r, ok := v.Latest(); ok {
			w.Errorf("before anything was read Latest is %q", r.Value)
		}
		unread, f := w.follow(v, "one that is not read"), w.follow(v, "one that waits for what is known")
		f.gives("3")
		for _, text := range []string{"6", "9", "12"} {
			rev := w.set(text)
			f.gives(text, value.AtLeast[string](rev))
			w.expectLatest(v, text, rev)
		}
		good := w.set("15")
		f.gives("15", value.AtLeast[string](good))
		f.failsToDecode(w.set("bad"))
		w.expectLatest(v, "15", good)
		w.unset()
		f.fails(value.ErrDeleted)
		if r, ok := v.Latest(); ok {
			w.Errorf("of a deleted key Latest is %q of revision %d", r.Value, r.Revision)
		}
		last := w.set("18")
		f.gives("18")
		unread.end()
		f.end()
		w.set("21")
		w.expectLatest(v, "18", last) // no watcher is open
	}},
	{"V14", "default", "calls Latest of a Value with a default before and after the first read, after a put, and after a deletion", 0, func(w *world) {
		v := w.value(value.WithDefault("none"))
		if r, ok := v.Latest(); ok {
			w.Errorf("before the store was asked Latest is %q", r.Value)
		}
		f := w.follow(v, "one of the newest")
		for _, step := range []struct {
			want string
			do   func()
		}{{"none", func() {}}, {"one", func() { w.set("one") }}, {"none", func() { w.unset() }}} {
			step.do()
			f.gives(step.want)
			if r, ok := v.Latest(); !ok || r.Value != step.want {
				w.Errorf("Get returned %q, and Latest is %q (%v)", step.want, r.Value, ok)
			}
		}
	}},
	{"V14", "beside-writers", "calls Latest from four goroutines while others write: it never goes back, and value and revision belong together", 0, func(w *world) {
		w.set("initial")
		v := w.value()
		f := w.follow(v, "one of the newest")
		f.gives("initial")
		over := make(chan struct{})
		var mu sync.Mutex
		seen := make(map[kv.Revision]string)
		wait := w.Background(4, func(int) error {
			var last kv.Revision
			for {
				r, ok := v.Latest()
				if !ok || r.Revision < last {
					return fmt.Errorf("the Latest is %q of revision %d (%v), after %d", r.Value, r.Revision, ok, last)
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
				case <-time.After(time.Millisecond): // so that writers get their turn on one core
				}
			}
		})
		last := w.burst(4, 80)
		f.gives("last", value.AtLeast[string](last))
		close(over)
		wait()
		for _, event := range w.Ledger.EventsAfter(kv.Key(w.at), 0) {
			if got, ok := seen[event.ModRevision]; ok && got != string(event.Value) {
				w.Errorf("revision %d put %q, and Latest was %q for it", event.ModRevision, event.Value, got)
			}
		}
		w.expectLatest(v, "last", last)
	}},
}

func (w *world) expectLatest(v Live, want string, rev kv.Revision) {
	if r, ok := v.Latest(); !ok || r.Value != want || r.Revision != rev {
		w.Fatalf("Latest is %q of revision %d (%v), and should be %q of revision %d", r.Value, r.Revision, ok, want, rev)
	}
}

// ownWriteChecks are those of V15.
var ownWriteChecks = []check{
	{"V15", "own-write", "puts, and gets at least that revision before the store's watch has delivered it: a read finds it", 0, func(w *world) {
		w.set("one")
		f := w.follow(w.value(), "one of the newest")
		f.gives("one")
		w.streaming(1)
		w.faults.Freeze(fault.Watches)
		rev := w.set("two")
		f.gives("two", value.AtLeast[string](rev))
		w.faults.Heal()
		w.nextArrives(f) // what the watch brings late is no news
	}},
	{"V15", "own-writes", "puts, and gets at least that revision at once, many times: Get returns that put", 0, func(w *world) {
		w.set("initial")
		w.inEachMode(w.value(), func(f *follower) {
			f.begin().end()
			for i := range 20 {
				rev := w.set(fmt.Sprint(i))
				if got := f.gives(fmt.Sprint(i), value.AtLeast[string](rev)); got.rev != rev {
					w.Fatalf("the put of revision %d came as one of revision %d", rev, got.rev)
				}
			}
			f.nothing()
		})
	}},
	{"V15", "others-writes", "puts through another store over the same data, and gets at least that revision, many times", suite.Again, func(w *world) {
		other := w.Backend.Again(w, w.Store)
		w.set("initial")
		w.inEachMode(w.value(), func(f *follower) {
			f.begin().end()
			for i := range 10 {
				rev, err := w.TryPut(other, w.at, fmt.Sprint(i))
				w.Must("put", err)
				f.gives(fmt.Sprint(i), value.AtLeast[string](rev))
			}
		})
	}},
	{"V15", "revision-of-another-key", "puts another key, and makes the first Get with at least that revision: it returns the value at that revision, though the value is older", 0, func(w *world) {
		w.set("one")
		for range 5 {
			rev := w.setOther()
			w.inEachMode(w.value(), func(f *follower) { f.gives("one", value.AtLeast[string](rev)) })
		}
	}},
	{"V15", "future", "gets at least a future revision: puts before it are skipped, and the put after it is returned", 0, func(w *world) {
		rev := w.set("one")
		w.inEachMode(w.value(), func(f *follower) {
			c := f.begin(value.AtLeast[string](rev + 1000))
			w.streaming(1)
			w.set("two")
			c.waits()
			w.cancelled(c)
			c = f.begin(value.AtLeast[string](w.Ledger.Last() + 2))
			want := w.Ledger.Last() + 2
			for i := 0; ; i++ {
				if text := fmt.Sprint(i); w.set(text) >= want {
					got := c.end()
					if got.err != nil || got.rev < want {
						w.Fatalf("a Get of at least revision %d returned %v", want, got)
					}
					break
				}
			}
		})
	}},
}
