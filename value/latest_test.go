package value_test

import (
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV14LatestIsKeptCurrent(t *testing.T) {
	inBubble(t, v14, func(w *world) {
		first := w.put("3")
		v := value.New(w.Store, w.key, threes)
		if got, ok := v.Latest(); ok {
			w.broken("before anything was read, Latest is %+v", got)
		}
		a := watch(w, v) // it is not read
		w.Settle()
		read := time.Now()
		want := func(n int, rev kv.Revision, age time.Duration) {
			w.Helper()
			if got, ok := v.Latest(); !ok || got.Value != n || got.Revision != rev || got.Age() != age {
				w.broken("Latest is %+v (%v) of age %v, want %d of %d and age %v", got, ok, got.Age(), n, rev, age)
			}
		}
		want(3, first, 0)
		w.pass(10 * time.Second)
		want(3, first, 10*time.Second)
		second := w.put("6")
		w.Settle()
		want(6, second, time.Since(read)) // an event of a watch confirms nothing
		w.put("x")
		w.Settle()
		want(6, second, time.Since(read))
		w.Freeze()
		third := w.put("9")
		w.put("y")
		w.Heal()
		w.Settle()
		want(9, third, time.Since(read)) // the last good value of several in one batch
		w.delete()
		w.Settle()
		if got, ok := v.Latest(); ok {
			w.broken("the key is deleted, but Latest is %+v", got)
		}
		last := w.put("12")
		w.Settle()
		a.Close()
		w.put("15")
		w.pass(time.Hour)
		want(12, last, time.Since(read))
	})
}

func TestV14LatestIsNeverBehindAWatcherOfEveryUpdate(t *testing.T) {
	inBubble(t, v14+"; no watcher returns a good value before it", func(w *world) {
		decoding := w.pause()
		w.putNumbers(0, 0)
		v := value.New(w.Store, w.key, func(b []byte) (int, error) {
			if string(b) == "x" {
				decoding.here()
			}
			return threes(b)
		})
		a := watch(w, v, value.EveryUpdate())
		a.GivesEach(0)
		w.Streaming(1)
		w.Cut(fault.Watches)
		w.put("3")
		w.put("x")
		w.Heal() // both arrive in one batch
		w.Settle()
		if got, err := a.TryGet(); err == nil {
			wantValueOf(w, v, got)
		}
		decoding.end()
		w.Settle()
		wantValueOf(w, v, 3)
	})
}

func TestV14LatestOfADefault(t *testing.T) {
	inBubble(t, v14, func(w *world) {
		v := w.text(value.WithDefault("none"))
		if got, ok := v.Latest(); ok {
			w.broken("before the first read, Latest is %+v", got)
		}
		watch(w, v)
		w.Settle()
		wantValueOf(w, v, "none")
		w.put("one")
		w.Settle()
		wantValueOf(w, v, "one")
		w.delete()
		w.Settle()
		wantValueOf(w, v, "none")
	})
}

func TestV14LatestIsConfirmedByTheFirstRead(t *testing.T) {
	inBubble(t, v14+", and it says when the store confirmed it", func(w *world) {
		w.put("one")
		for range 1000 {
			v := w.text()
			seen := make(chan value.Reading[string])
			go func() {
				for {
					if got, ok := v.Latest(); ok {
						seen <- got
						return
					}
				}
			}()
			a := v.Watch()
			got := <-seen
			a.Close()
			if got.Confirmed.IsZero() || got.Age() > time.Minute {
				w.broken("Latest first returned %+v, of age %v", got, got.Age())
			}
		}
	})
}

func TestV14LatestIsAtomic(t *testing.T) {
	inBubble(t, v14, func(w *world) {
		type pair struct{ a, b byte }
		w.put("aa")
		v := value.New(w.Store, w.key, func(b []byte) (pair, error) { return pair{b[0], b[1]}, nil })
		a := watch(w, v)
		_, err := a.Next()
		w.must(err)
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				var last kv.Revision
				for {
					select {
					case <-stop:
						return
					default:
					}
					got, ok := v.Latest()
					if !ok || got.Value.a != got.Value.b || got.Revision < last {
						w.Errorf("promised: %s\nhappened: Latest is %+v (%v) after revision %d", w.promise, got, ok, last)
						return
					}
					last = got.Revision
				}
			})
		}
		for i := range 500 {
			c := 'a' + rune(i%26)
			rev := w.put(string([]rune{c, c}))
			if _, err := a.Next(value.AtLeast[pair](rev)); err != nil {
				w.broken("Get: %v", err)
			}
		}
		close(stop)
		readers.Wait()
	})
}

func TestV14LatestHasTheLastGoodValueBeforeABadOne(t *testing.T) {
	inBubble(t, "V14, no watcher returns a good value before Latest has it", func(w *world) {
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
			w.broken("the watcher has returned 10, but Latest is %v (%v)", l.Value, ok)
		}
		watcher.FailsToDecode(bad)
		if err := v.Status().BadValue; err == nil {
			w.broken("the newest value is bad, but Status does not say so")
		}
	})
}
