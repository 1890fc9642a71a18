package value_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"weak"

	"github.com/watchkv/watchkv/value"
)

// decoded counts the values that a decoder made and that are still in memory.
type decoded struct {
	mu   sync.Mutex
	made []weak.Pointer[block]
}

type block [1024]byte

func (d *decoded) decode(b []byte) (*block, error) {
	v := new(block)
	copy(v[:], b)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made = append(d.made, weak.Make(v))
	return v, nil
}

func (d *decoded) alive() (alive, made int) {
	runtime.GC()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.made {
		if p.Value() != nil {
			alive++
		}
	}
	return alive, len(d.made)
}

func TestV3MemoryOfASlowReaderDoesNotGrow(t *testing.T) {
	inBubble(t, v3, func(w *world) {
		var d decoded
		w.put("initial")
		v := value.New(w.Store, w.key, d.decode)
		read, unread := watch(w, v), watch(w, v)
		_, err := read.Next()
		w.must(err)
		for range 20_000 {
			w.put("x")
			w.Settle()
		}
		alive, made := d.alive()
		if made < 20_000 {
			w.Fatalf("the test itself: %d were decoded", made)
		}
		if alive > 8 {
			w.broken("after %d unread updates, %d decoded values are in memory", made, alive)
		}
		runtime.KeepAlive(read)
		runtime.KeepAlive(unread)
	})
}

func TestV4MemoryIsBounded(t *testing.T) {
	inBubble(t, "V4, memory stays bounded by the backlog and by one read of history", func(w *world) {
		var d decoded
		w.put("x")
		v := value.New(w.Store, w.key, d.decode, value.WithBacklog(100))
		a, b := watch(w, v, value.EveryUpdate()), watch(w, v, value.EveryUpdate())
		_, err := a.Next()
		w.must(err)
		_, err = b.Next()
		w.must(err)
		for range 20_000 {
			w.put("x")
			w.Settle()
		}
		if alive, made := d.alive(); alive > 110 {
			w.broken("with a backlog of 100 %d of %d decoded values are in memory", alive, made)
		}
		_, err = a.Next() // reads history
		w.must(err)
		if alive, made := d.alive(); alive > 6000 {
			w.broken("while one watcher reads history %d of %d decoded values are in memory", alive, made)
		}
		for range 20_000 - 1 {
			_, err = a.Next()
			w.must(err)
		}
		b.Close()
		a.HasNothing()
		if alive, made := d.alive(); alive > 110 {
			w.broken("after everything was read, %d of %d decoded values are in memory", alive, made)
		}
	})
}

// A read of history holds its updates until the watcher has taken them.
func TestV4MemoryOfAReadOfHistoryIsBounded(t *testing.T) {
	for name, c := range map[string]struct{ updates, size, want int }{
		"by number": {5000, 1, 4096},
		"by size":   {20, 1 << 20, 4},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "V4, memory stays bounded", func(w *world) {
				taken := make(map[int32]int)
				s := &historian{Store: w.Store, history: func(r historyRead) {
					for b, err := range oneByOne(r.watch) {
						taken[r.n]++
						if !r.yield(b, err) {
							return
						}
					}
				}}
				text := strings.Repeat("x", c.size)
				w.put(text)
				v := value.New(s, w.key, value.Bytes, value.WithBacklog(1))
				a := watch(w, v, value.EveryUpdate())
				_, err := a.Next()
				w.must(err)
				for range c.updates {
					w.put(text)
				}
				w.Settle()
				for range c.updates {
					_, err := a.Next()
					w.must(err)
				}
				if taken[1] != c.want {
					w.broken("the first read of history took %d updates, want %d", taken[1], c.want)
				}
			})
		})
	}
}

func TestV4ReturnedUpdatesOfHistoryAreFreed(t *testing.T) {
	inBubble(t, "V4, memory stays bounded", func(w *world) {
		w.put("1")
		var decoded []weak.Pointer[[64]byte]
		v := value.New(w.Store, w.key, func([]byte) (*[64]byte, error) {
			p := new([64]byte)
			decoded = append(decoded, weak.Make(p))
			return p, nil
		}, value.WithBacklog(1))
		a := watch(w, v, value.EveryUpdate())
		next := func() {
			_, err := a.Next()
			w.must(err)
		}
		next()
		for range 6 {
			w.put("x")
			w.Settle()
		}
		decoded = nil
		for range 4 {
			next()
		}
		runtime.GC()
		for i, p := range decoded[:3] { // the fourth is the last one that was returned
			if p.Value() != nil {
				w.broken("update %d of history is still held, but update 4 was returned last", i+1)
			}
		}
		runtime.KeepAlive(a)
	})
}
