package value_test

import (
	"context"
	"strconv"
	"sync"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// put writes directly to the store, without the faults.
func (w *world) put(v string) kv.Revision {
	w.Helper()
	r, err := w.backend.Put(w.Context(), w.key, []byte(v))
	w.must(err)
	return r
}

// putOther writes another key, without the faults.
func (w *world) putOther() kv.Revision {
	w.Helper()
	r, err := w.backend.Put(w.Context(), w.key+"/other", []byte("x"))
	w.must(err)
	return r
}

func (w *world) delete() kv.Revision {
	w.Helper()
	r, err := w.backend.Delete(w.Context(), w.key)
	w.must(err)
	return r
}

// compact forgets all history before the present.
func (w *world) compact() kv.Revision {
	w.Helper()
	r := w.putOther()
	w.must(w.backend.Compact(w.Context(), r))
	return r
}

func (w *world) backup() { w.must(w.backend.Backup(w.Context())) }

// restore goes back to the backup.
func (w *world) restore() { w.must(w.backend.Restore(w.Context())) }

// losesForGood puts numbers while the Values are cut off, and makes the store forget them. It returns the revision of the last.
func (w *world) losesForGood(first, last int) kv.Revision {
	w.Helper()
	w.Cut()
	rev := w.putNumbers(first, last)
	w.compact()
	w.Heal()
	return rev
}

// losesALifeForGood is losesForGood, but deletes the key in the end. It returns the revision up to which the store has forgotten.
func (w *world) losesALifeForGood(first, last int) kv.Revision {
	w.Helper()
	w.Cut()
	w.putNumbers(first, last)
	w.delete()
	rev := w.compact()
	w.Heal()
	return rev
}

// putsArrive puts numbers, and requires that the watcher returns each.
func (w *world) putsArrive(a *valuetest.Watcher[int], first, last int) {
	w.Helper()
	w.putNumbers(first, last)
	a.GivesEach(numbers(first, last)...)
}

// pass lets time pass in the bubble.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) text(opts ...value.Option) *value.Value[string] {
	return value.New(w.Store, w.key, value.String, opts...)
}

// number returns a Value of the numbers that putNumbers puts.
func (w *world) number(opts ...value.Option) *value.Value[int] {
	return value.New(w.Store, w.key, value.JSON[int], opts...)
}

// numbers returns the numbers from first to last.
func numbers(first, last int) []int {
	var all []int
	for i := first; i <= last; i++ {
		all = append(all, i)
	}
	return all
}

// putNumbers puts each number from first to last, and returns the revision of the last.
func (w *world) putNumbers(first, last int) (rev kv.Revision) {
	w.Helper()
	for _, i := range numbers(first, last) {
		rev = w.put(strconv.Itoa(i))
	}
	return rev
}

// watch opens a watcher. It is closed when the test ends.
func watch[T any](w *world, v *value.Value[T], opts ...value.WatchOption) *valuetest.Watcher[T] {
	return valuetest.Follow(w.Harness, valuetest.Sound(v), "", opts...)
}

// both opens a watcher of the newest value and one of every update. Both return want.
func both[T any](w *world, v *value.Value[T], want T) (newest, every *valuetest.Watcher[T]) {
	w.Helper()
	newest, every = watch(w, v), watch(w, v, value.EveryUpdate())
	newest.Gives(want)
	every.Gives(want)
	return newest, every
}

// watchFrom puts a text, and opens a watcher of v. The watcher has returned the text.
func (w *world) watchFrom(text string, v *value.Value[string], opts ...value.WatchOption) *valuetest.Watcher[string] {
	w.Helper()
	w.put(text)
	a := watch(w, v, opts...)
	a.Gives(text)
	return a
}

// everyFrom puts a number, and opens a watcher of every update. The watcher has returned the number. The options are the Value's.
func (w *world) everyFrom(number int, opts ...value.Option) *valuetest.Watcher[int] {
	w.Helper()
	w.putNumbers(number, number)
	a := watch(w, w.number(opts...), value.EveryUpdate())
	a.Gives(number)
	return a
}

// pause is a point where a test stops code of the program: a decoder or a filter.
type pause struct {
	reached, over chan struct{}
	reach, end    func()
}

// pause returns a pause. It ends at the latest when the test ends.
func (w *world) pause() *pause {
	p := &pause{reached: make(chan struct{}), over: make(chan struct{})}
	p.reach = sync.OnceFunc(func() { close(p.reached) })
	p.end = sync.OnceFunc(func() { close(p.over) })
	w.Cleanup(p.end)
	return p
}

// here blocks the code until the pause ends.
func (p *pause) here() {
	p.reach()
	<-p.over
}

// wait waits until the code has reached the pause.
func (p *pause) wait() { <-p.reached }

// channel returns v.Chan. It ends with the test.
func channel[T any](w *world, v *value.Value[T], opts ...value.WatchOption) <-chan value.Result[T] {
	ctx, cancel := context.WithCancel(w.Context())
	out := v.Chan(ctx, opts...)
	w.Cleanup(func() {
		cancel()
		for range out {
		}
	})
	return out
}

// wantValueOf checks Latest.
func wantValueOf[T comparable](w *world, v *value.Value[T], want T) {
	w.Helper()
	if got, ok := v.Latest(); !ok || got.Value != want {
		w.broken("Latest is %+v (%v), want %v", got, ok, want)
	}
}

func wantSince(w *world, began time.Time, least, most time.Duration) {
	w.Helper()
	if d := time.Since(began); d < least || d > most {
		w.broken("it took %v, want from %v to %v", d, least, most)
	}
}

// describe describes what a call has returned.
var describe = valuetest.Describe
