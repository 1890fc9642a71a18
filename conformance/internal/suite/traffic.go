package suite

import (
	"fmt"
	"sync"

	"github.com/watchkv/watchkv/kv"
)

// traffic is others who write while a check does something. They write as fast as they can, but only so much each
// time the check asks for more, so that a fast store does not drown the check in history.
type traffic struct {
	turns chan struct{}
	once  sync.Once
	over  chan struct{}
	wait  func()
}

// turnsAtOnce is how many writes more allows.
const turnsAtOnce = 8

// Traffic starts n goroutines that call write, each with a number of its own and a count from 1 on.
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
	e.Cleanup(t.end) // last, to run first: the others stop before they are waited for
	return t
}

// Writers is traffic that puts keys of the check.
func (e *Env) Writers(n int) *traffic {
	return e.Traffic(n, func(w, i int) error {
		_, err := e.TryPut(e.Store, e.Key(fmt.Sprint("writer ", w)), fmt.Sprint(i))
		return err
	})
}

// More lets the others write some more, beginning now.
func (t *traffic) More() {
	for range turnsAtOnce {
		select {
		case t.turns <- struct{}{}:
		default:
		}
	}
}

// Stop returns when no writer is left. It ends the check if a write has failed.
func (t *traffic) Stop() {
	t.end()
	t.wait()
}

func (t *traffic) end() { t.once.Do(func() { close(t.over) }) }

// GetsDuring gets the check's keys n times while one writer writes.
func (e *Env) GetsDuring(n int, write func(i int) error) []kv.Snapshot {
	other := e.Traffic(1, func(_, i int) error { return write(i) })
	got := make([]kv.Snapshot, n)
	for i := range got {
		other.More()
		e.Must("write", write(-i)) // so that between two gets something changes, however slow the other is
		got[i] = e.Get(e.All())
	}
	other.Stop()
	return got
}
