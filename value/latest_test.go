package value_test

import (
	"sync"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

const (
	v14 = "V14, Latest is the newest good value at hand, with its revision and age, kept current while a watcher is open"
	v15 = "V15, AtLeast asks Get for the value as of a revision or later"
)

func TestV14LatestIsKeptCurrent(t *testing.T) {
	inBubble(t, v14, func(w *world) {
		first := w.put("3")
		v := value.New(w.Store, w.key, threes)
		if got, ok := v.Latest(); ok {
			w.broken("before anything was read Latest is %+v", got)
		}
		a := watch(w, v) // nobody reads from it
		w.settle()
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
		w.settle()
		want(6, second, time.Since(read)) // what a watch brings confirms nothing
		w.put("x")
		w.settle()
		want(6, second, time.Since(read))
		w.Freeze()
		third := w.put("9")
		w.put("y")
		w.Heal()
		w.settle()
		want(9, third, time.Since(read)) // the last good one of several at once
		w.delete()
		w.settle()
		if got, ok := v.Latest(); ok {
			w.broken("of a deleted key Latest is %+v", got)
		}
		last := w.put("12")
		w.settle()
		a.Close()
		w.put("15")
		w.pass(time.Hour)
		want(12, last, time.Since(read))
	})
}

func TestV14LatestIsNeverBehindAWatcherOfEveryUpdate(t *testing.T) {
	inBubble(t, v14+"; no watcher is told of a good value before it", func(w *world) {
		decoding := make(chan struct{})
		goOn := sync.OnceFunc(func() { close(decoding) })
		w.putNumbers(0, 0)
		v := value.New(w.Store, w.key, func(b []byte) (int, error) {
			if string(b) == "x" {
				<-decoding
			}
			return threes(b)
		})
		a := watch(w, v, value.EveryUpdate())
		w.Cleanup(goOn)
		wantNumbers(w, a, 0, 0)
		w.streaming(1)
		w.Cut(fault.Watches)
		w.put("3")
		w.put("x")
		w.Heal() // both come at once
		w.settle()
		if got, err := a.TryGet(); err == nil {
			wantValueOf(w, v, got)
		}
		goOn()
		w.settle()
		wantValueOf(w, v, 3)
	})
}

func TestV14LatestOfADefault(t *testing.T) {
	inBubble(t, v14, func(w *world) {
		v := w.text(value.WithDefault("none"))
		if got, ok := v.Latest(); ok {
			w.broken("before the store was asked Latest is %+v", got)
		}
		watch(w, v)
		w.settle()
		wantValueOf(w, v, "none")
		w.put("one")
		w.settle()
		wantValueOf(w, v, "one")
		w.delete()
		w.settle()
		wantValueOf(w, v, "none")
	})
}

func TestV14LatestIsConfirmedFromTheFirst(t *testing.T) {
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
				w.broken("the first that Latest gave was %+v, of age %v", got, got.Age())
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
		_, err := get(w, a)
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
			if _, err := get(w, a, value.AtLeast[pair](rev)); err != nil {
				w.broken("Get: %v", err)
			}
		}
		close(stop)
		readers.Wait()
	})
}

func TestV15OwnWriteIsRead(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			each(t, v15, func(w *world) {
				w.put("one")
				a := watch(w, w.text(value.WithCheck(0)), opts...)
				wantValue(w, a, "one")
				w.streaming(1)
				w.Freeze(fault.Watches) // so that only a read can show it
				rev := w.put("two")
				if mode == "every" { // which tells what the watch brings
					w.Heal()
				}
				wantValue(w, a, "two", value.AtLeast[string](rev))
				w.Heal()
				w.settle()
				wantNothing(w, a)
				wantNothing(w, a, value.AtLeast[string](rev)) // it was told already
				rev = w.put("three")
				wantValue(w, a, "three", value.AtLeast[string](rev))
			})
		})
	}
}

func TestV15TheFirstGet(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			each(t, v15+", of another key too", func(w *world) {
				w.put("one")
				rev := w.putOther()
				a := watch(w, w.text(value.WithCheck(0)), opts...)
				wantValue(w, a, "one", value.AtLeast[string](rev)) // unchanged, as of rev
			})
		})
	}
}

func TestV15AForeignRevision(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			each(t, v15+", of another key too", func(w *world) {
				w.put("one")
				a := watch(w, w.text(value.WithCheck(0)), opts...)
				wantValue(w, a, "one")
				w.streaming(1)
				w.put("two")
				rev := w.putOther()
				wantValue(w, a, "two", value.AtLeast[string](rev))
				wantNothing(w, a)
			})
		})
	}
}

func TestV15AFutureRevision(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			each(t, v15+"; what is older is passed over", func(w *world) {
				rev := w.put("one")
				a := watch(w, w.text(), opts...)
				c := begin(w, a, value.AtLeast[string](rev+3))
				w.streaming(1)
				c.wantWaiting(w)
				w.put("two")
				w.put("three")
				c.wantWaiting(w)
				w.put("four")
				c.want(w, "four")
				w.put("five")
				wantValue(w, a, "five")
			})
		})
	}
}

func TestV15AFutureRevisionThatAnotherKeyReaches(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			inBubble(t, v15, func(w *world) {
				rev := w.put("one")
				a := watch(w, w.text(), opts...)
				c := begin(w, a, value.AtLeast[string](rev+1))
				w.streaming(1)
				c.wantWaiting(w)
				w.putOther()
				w.pass(61 * time.Second) // the check finds out
				c.want(w, "one")
			})
		})
	}
}

func TestV15WithEveryUpdateAndWhere(t *testing.T) {
	each(t, v15+"; what is older is passed over, as with Where", func(w *world) {
		w.putNumbers(0, 0)
		a := watch(w, w.number(), value.EveryUpdate())
		wantNumbers(w, a, 0, 0)
		w.streaming(1)
		w.putNumbers(1, 5)
		rev := w.putNumbers(6, 6)
		w.putNumbers(7, 12)
		even := value.Where(func(n int) bool { return n%2 == 0 })
		wantValue(w, a, 6, value.AtLeast[int](rev), even)
		wantValue(w, a, 8, even)
		wantNumbers(w, a, 9, 12)
		wantNothing(w, a, even)
		rev = w.putNumbers(13, 13)
		c := begin(w, a, value.AtLeast[int](rev), even)
		c.wantWaiting(w)
		w.putNumbers(14, 14)
		c.want(w, 14)
	})
}
