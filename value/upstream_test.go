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

const (
	v12 = "V12, one watch of the store per Value, however many watchers; none when it has none; each update is decoded once"
	v13 = "V13, reading afresh does not return the same entry again"
)

// counting is a decoder that counts its calls by what it is given.
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
			w.broken("before it is watched the store sees: %v", n)
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

func TestV12OneReadServesAllThatWaitForIt(t *testing.T) {
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

// wantValueOf checks what is at hand.
func wantValueOf[T comparable](w *world, v *value.Value[T], want T) {
	w.Helper()
	if got, ok := v.Latest(); !ok || got.Value != want {
		w.broken("Latest is %+v (%v), want %v", got, ok, want)
	}
}

func TestV13UnchangedIsNotNews(t *testing.T) {
	for mode, opts := range modes {
		for name, happens := range map[string]func(w *world){
			"reconnected": func(w *world) { w.EndStreams(kv.ErrUnavailable) },
			"reset": func(w *world) {
				n := w.Counts().Watches
				w.EndStreams(kv.ErrReset)
				// Else what is put next could be all that the new history is known to hold, which is a gap.
				w.Until("a new watch", func(c fault.Counts) bool { return c.Watches > n })
			},
			"compacted":       func(w *world) { w.EndStreams(&kv.CompactedError{}) },
			"refused":         func(w *world) { w.Fail(2, kv.ErrPermission, fault.Watches); w.EndStreams(kv.ErrPermission) },
			"cut, compacted":  func(w *world) { w.Cut(); w.compact(); w.Heal() },
			"read once more":  func(w *world) { watch(w, w.text()) },
			"other keys":      func(w *world) { w.putOther() },
			"opened anew":     func(w *world) { w.Fail(1, kv.ErrUnavailable); w.EndStreams(nil) },
			"failed for long": func(w *world) { w.Fail(5, kv.ErrUnavailable, fault.Reads); w.EndStreams(kv.ErrUnavailable) },
		} {
			t.Run(mode+"/"+name, func(t *testing.T) {
				each(t, v13, func(w *world) {
					v := w.text()
					a := w.watchFrom("one", v, opts...)
					w.Streaming(1)
					happens(w)
					if w.InBubble() {
						w.pass(5 * time.Minute)
					}
					a.HasNothing()
					w.put("two")
					a.Gives("two")
				})
			})
		}
	}
}

func TestV13ABookmarkIsNoNews(t *testing.T) {
	eachMode(t, inBubble, "V13: a bookmark is not news, and is seen by Status", func(w *world, opts ...value.WatchOption) {
		v := w.text()
		a := w.watchFrom("one", v, opts...)
		w.Streaming(1)
		for range 3 {
			c := a.Begin()
			rev := w.putOther()
			w.must(w.backend.(*memoryBackend).RequestProgress(w.Context()))
			c.Waits()
			if s := v.Status(); s.Revision != rev {
				w.broken("after a bookmark at %d Status is %+v", rev, s)
			}
			c.Cancel()
		}
		w.put("two")
		a.Gives("two")
		w.delete()
		a.Fails(value.ErrDeleted)
		w.putOther()
		w.must(w.backend.(*memoryBackend).RequestProgress(w.Context()))
		a.HasNothing()
	})
}
