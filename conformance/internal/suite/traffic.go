package suite

import (
	"fmt"
	"sync"
)

// traffic is some goroutines that write while a check does something. They write as fast as they can, but only a limited number of times
// after each call of More. So the history of a fast store does not become too long for the check.
type traffic struct {
	turns chan struct{}
	once  sync.Once
	over  chan struct{}
	wait  func()
}

// turnsAtOnce is how many writes one call of More allows.
const turnsAtOnce = 8

// Traffic starts n goroutines that call write. Each passes its number, and a count from 1 on.
func (e *Env) Traffic(n int, write func(w, i int) error) *traffic {
	t := &traffic{turns: make(chan struct{}, turnsAtOnce), over: make(chan struct{})}
	t.wait = e.Background(n, func(w int) error {
		for i := 1; ; i++ {
			select {
			case <-t.turns:
			case <-t.over:
				return nil
			}
			if err := write(w, i); err != nil {
				return err
			}
		}
	})
	e.Cleanup(t.end) // the last cleanup runs first, so the goroutines stop before another cleanup waits for them
	return t
}

// Writers starts traffic that puts keys of the check.
func (e *Env) Writers(n int) *traffic {
	return e.Traffic(n, func(w, i int) error {
		_, err := e.TryPut(e.Store, e.Key(fmt.Sprint("writer ", w)), fmt.Sprint(i))
		return err
	})
}

// More lets the goroutines make some more writes, beginning now.
func (t *traffic) More() {
	for range turnsAtOnce {
		select {
		case t.turns <- struct{}{}:
		default:
		}
	}
}

// Stop ends the goroutines and waits for them. It ends the check if a write has failed.
func (t *traffic) Stop() {
	t.end()
	t.wait()
}

func (t *traffic) end() { t.once.Do(func() { close(t.over) }) }

// ReadDuring calls read n times while one writer writes.
func ReadDuring[T any](e *Env, n int, write func(i int) error, read func() T) []T {
	other := e.Traffic(1, func(_, i int) error { return write(i) })
	got := make([]T, n)
	for i := range got {
		other.More()
		e.Must("write", write(-i)) // so that something changes between two reads, even if the other writer is slow
		got[i] = read()
	}
	other.Stop()
	return got
}
