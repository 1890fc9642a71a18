package value_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/value"
)

// crowd is a number of watchers that is too large for one notifier.
const crowd = 100

func TestV9ClosingOneWatcherEndsNoOther(t *testing.T) {
	eachMode(t, inBubble, v9+"; other watchers are not disturbed", func(w *world, opts ...value.WatchOption) {
		w.put("0")
		v := w.text()
		watchers := make([]*valuetest.Watcher[string], crowd)
		calls := make([]*valuetest.Call[string], crowd)
		for i := range watchers {
			watchers[i] = watch(w, v, opts...)
			watchers[i].Gives("0")
			calls[i] = watchers[i].Begin()
		}
		// The order of the Closes makes some notifiers lose all their watchers before others lose one.
		for i := range crowd {
			one := (i*7 + 40) % crowd
			calls[one].Waits()
			watchers[one].Close()
			calls[one].Fails(value.ErrClosed)
			if i%20 != 0 {
				continue
			}
			next := strconv.Itoa(i + 1)
			w.put(next)
			for k := i + 1; k < crowd; k++ {
				other := (k*7 + 40) % crowd
				calls[other].Gives(next)
				calls[other] = watchers[other].Begin()
			}
		}
	})
}

func TestV3ManyShortLivedWatchersMissNothing(t *testing.T) {
	eachMode(t, inBubble, v3+"; also while others come and go", func(w *world, opts ...value.WatchOption) {
		const last = 300
		w.put("0")
		v := w.number()
		stays := watch(w, v)
		var running sync.WaitGroup
		for i := range 3 * crowd {
			running.Go(func() {
				for range 4 { // each opens a watcher, gets a few values, and closes it
					a := watch(w, v, opts...)
					seen := -1
					for k := 0; k <= i%5 && seen < last; k++ {
						got, err := a.Next()
						if err != nil || got <= seen {
							t.Errorf("after %d Get returned %s", seen, describe(got, err))
						}
						seen = got
					}
					a.Close()
				}
			})
		}
		for i := range last {
			w.put(strconv.Itoa(i + 1))
		}
		for seen := 0; seen < last; {
			got, err := stays.Next()
			if err != nil || got < seen {
				w.broken("after %d Get returned %s", seen, describe(got, err))
			}
			seen = got
		}
		running.Wait()
	})
}

// The moment between a Get's look for an update and its wait is short. So there are many tries, and each begins its Get a little later
// after the put than the one before. A Get that missed its update would wait for ever.
func TestV2AnUpdateThatArrivesAsAGetBeginsToWaitIsReturned(t *testing.T) {
	inBubble(t, "V2, a later Get returns what is newer, also if it comes just as the Get begins to wait", func(w *world) {
		const tries = 20_000
		w.put("0")
		a := watch(w, w.number())
		a.Gives(0)
		looking := make(chan int)
		var writing sync.WaitGroup
		writing.Go(func() {
			for i := range looking {
				w.put(strconv.Itoa(i))
			}
		})
		defer writing.Wait()
		defer close(looking)
		var spun atomic.Int64
		for i := range tries {
			looking <- i + 1
			for range i % 1000 * 4 {
				spun.Load()
			}
			a.Gives(i + 1)
		}
	})
}
