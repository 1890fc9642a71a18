package value_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

// counting is a decoder that counts its calls for each text.
type counting struct {
	mu    sync.Mutex
	calls map[string]int
}

func (c *counting) decode(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = make(map[string]int)
	}
	c.calls[string(b)]++
	return strconv.Atoi(string(b))
}

func (c *counting) wantOnceEach(w *world) {
	w.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for b, n := range c.calls {
		if n > 1 {
			w.broken("%q was decoded %d times", b, n)
		}
	}
}

func TestV12OneWatchForAllWatchers(t *testing.T) {
	each(t, v12, func(w *world) {
		var decoder counting
		w.put("1")
		v := value.New(w.Store, w.key, decoder.decode)
		if n := w.Counts(); n != (fault.Counts{}) {
			w.broken("before the Value is watched, the store sees: %v", n)
		}
		n := 10_000
		if !w.InBubble() {
			n = 1000
		}
		var (
			watchers    []*valuetest.Watcher[int]
			ready, done sync.WaitGroup
			third       = make(chan int, n)
		)
		for i := range n {
			var opts []value.WatchOption
			if i%10 == 0 {
				opts = modes["every"]
			}
			a := watch(w, v, opts...)
			watchers = append(watchers, a)
			ready.Add(1)
			done.Go(func() {
				got, err := a.Next()
				if err != nil {
					w.Errorf("Get: %v", err)
				}
				ready.Done()
				for got < 3 && err == nil {
					got, err = a.Next()
				}
				third <- got
			})
		}
		ready.Wait()
		w.Streaming(1)
		if c := w.Counts(); c.Streams != 1 || c.Watches != 1 {
			w.broken("with %d watchers the store sees: %v", n, c)
		}
		w.put("2")
		w.put("3")
		done.Wait()
		close(third)
		for got := range third {
			if got != 3 {
				w.broken("a watcher ended at %d", got)
			}
		}
		decoder.wantOnceEach(w)
		for _, a := range watchers {
			a.Close()
		}
		before := w.Counts()
		if before.Streams != 0 || before.Watches != 1 {
			w.broken("after the last Close the store sees: %v", before)
		}
		if w.InBubble() {
			w.pass(time.Hour)
			if c := w.Counts(); c != before {
				w.broken("in the hour after the last Close the store saw: %v, before: %v", c, before)
			}
		}
	})
}

func TestV12OneReadServesAllPendingGets(t *testing.T) {
	inBubble(t, "V12, one read serves all the first Gets that wait for it", func(w *world) {
		w.put("one")
		v := w.text()
		read := w.Hold(fault.Gets)
		var calls []*valuetest.Call[string]
		for range 1000 {
			calls = append(calls, watch(w, v).Begin())
		}
		w.Settle()
		w.put("two")
		read.Release()
		for _, c := range calls {
			c.Gives("two")
		}
		if n := w.Counts().Gets; n > 2 {
			w.broken("1000 watchers that waited together took %d reads", n)
		}
	})
}

func TestV12EachUpdateIsDecodedOnce(t *testing.T) {
	const promise = "V12, each update is read and decoded once"
	setUp := func(w *world) (*counting, *value.Value[int], *valuetest.Watcher[int]) {
		decoder := new(counting)
		w.put("0")
		v := value.New(w.Store, w.key, decoder.decode)
		a := watch(w, v, value.EveryUpdate())
		a.Gives(0)
		w.Streaming(1)
		return decoder, v, a
	}
	t.Run("by a read first", func(t *testing.T) {
		each(t, promise, func(w *world) {
			decoder, v, a := setUp(w)
			w.Freeze(fault.Watches)
			w.putNumbers(1, 5)
			watch(w, v).Gives(5)
			w.Heal()
			a.GivesEach(numbers(1, 5)...)
			decoder.wantOnceEach(w)
		})
	})
	t.Run("of a Map, by a read first", func(t *testing.T) {
		eachMode(t, each, promise, func(w *world, opts ...value.WatchOption) {
			decoder := new(counting)
			w.put("0")
			m := value.NewMap(w.Store, kv.Key(w.key), decoder.decode)
			has := func(a *valuetest.Watcher[value.View[int]], want int, opts ...value.GetOption[value.View[int]]) {
				w.Helper()
				view, err := a.Next(opts...)
				if item, _ := view.Get(w.key); err != nil || item.Value != want {
					w.broken("%s has %d, %v, want %d", a.Name, item.Value, err, want)
				}
			}
			a := valuetest.Follow(w.Harness, valuetest.Sound(m), "a", opts...)
			has(a, 0)
			w.Streaming(1)
			w.Freeze(fault.Watches)
			rev := w.putNumbers(1, 5)
			has(valuetest.Follow(w.Harness, valuetest.Sound(m), "b"), 5, value.AtLeast[value.View[int]](rev))
			w.Heal()
			w.putNumbers(6, 6)
			has(a, 6, value.Where(func(v value.View[int]) bool {
				item, _ := v.Get(w.key)
				return item.Value == 6
			}))
			decoder.wantOnceEach(w)
		})
	})
	t.Run("of a bundle, by a read first", func(t *testing.T) {
		each(t, promise, func(w *world) {
			decoder := new(counting)
			w.put("0")
			v := value.NewBundle(w.Store, kv.Prefix(w.key), func(entries []kv.Entry) (int, error) { return decoder.decode(entries[0].Value) })
			a := watch(w, v, value.EveryUpdate())
			a.Gives(0)
			w.Streaming(1)
			w.Freeze(fault.Watches)
			rev := w.putNumbers(1, 5)
			watch(w, v).Gives(5, value.AtLeast[int](rev))
			w.Heal()
			a.GivesEach(numbers(1, 5)...)
			w.putNumbers(6, 6)
			a.Gives(6)
			decoder.wantOnceEach(w)
		})
	})
	t.Run("bad ones after good ones at once", func(t *testing.T) {
		each(t, promise, func(w *world) {
			decoder, v, a := setUp(w)
			w.Freeze()
			w.put("1")
			w.put("2")
			x := w.put("x")
			y := w.put("y")
			w.Heal()
			a.GivesEach(numbers(1, 2)...)
			a.FailsToDecode(x)
			a.FailsToDecode(y)
			wantValueOf(w, v, 2)
			decoder.wantOnceEach(w)
		})
	})
	t.Run("by resyncs", func(t *testing.T) {
		each(t, promise, func(w *world) {
			decoder, v, a := setUp(w)
			for i := 1; i < 20; i++ {
				w.EndStreams(kv.ErrUnavailable)
				w.putNumbers(i, i)
				a.GivesEach(i)
				w.Cut()
				w.compact()
				w.Heal()
				b := watch(w, v)
				b.Gives(i)
				b.Close()
			}
			decoder.wantOnceEach(w)
		})
	})
}

func TestV12UpdatesThatNoWatcherCanReturnAreNotDecoded(t *testing.T) {
	for name, prepare := range map[string]func(v *value.Value[int]){
		"no watcher asks for every update":       func(*value.Value[int]) {},
		"the one that asked for each was closed": func(v *value.Value[int]) { v.Watch(value.EveryUpdate()).Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "V3, a watcher of the newest skips straight to it", func(w *world) {
				var decoder counting
				w.putNumbers(1, 1)
				v := value.New(w.Store, w.key, decoder.decode)
				a := watch(w, v)
				a.GivesEach(1)
				prepare(v)
				w.Streaming(1)
				w.Cut()
				w.putNumbers(2, 9)
				w.Heal()
				a.GivesEach(9)
				if len(decoder.calls) != 2 {
					w.broken("of 1 to 9 the decoder got these, with the number of calls: %v; want 1 and 9", decoder.calls)
				}
			})
		})
	}
}

// Reads have shown revisions of the lost history. The watch of the new history need not deliver these revisions.
func TestV12TheWatchAfterARestoreIsNotBehind(t *testing.T) {
	eachMode(t, inBubble, "V12: one watch of the store, which is not begun again because of what a restore has undone", func(w *world, opts ...value.WatchOption) {
		w.put("old")
		w.backup()
		for range 10 {
			w.put("new")
		}
		a := watch(w, w.text(), opts...)
		a.Gives("new")
		w.restore()
		w.pass(time.Minute)
		begun := w.Counts().Watches
		w.pass(time.Hour)
		if n := w.Counts().Watches - begun; n != 0 {
			w.broken("nothing has happened for an hour, but the watch was begun %d times", n)
		}
	})
}
