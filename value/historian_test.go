package value_test

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// historian is a store on which a test controls the watches of history. Every watch that begins while another one runs is a watch of history.
type historian struct {
	kv.Store
	running atomic.Int32
	begun   atomic.Int32 // watches of history
	history func(historyRead)
}

// historyRead is one watch that reads history.
type historyRead struct {
	ctx   context.Context
	n     int32                      // the number of the watch, from 1 on
	watch iter.Seq2[kv.Batch, error] // what the store has
	yield func(kv.Batch, error) bool // to the Value
}

func (s *historian) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		n := s.running.Add(1)
		defer s.running.Add(-1)
		if n == 1 {
			s.Store.Watch(ctx, r, after)(yield)
			return
		}
		s.history(historyRead{ctx, s.begun.Add(1), s.Store.Watch(ctx, r, after), yield})
	}
}

// behind returns a watcher of every update that has to read history: it has returned "1", and after that the key was put four times.
func behind(w *world, history func(historyRead)) (*valuetest.Watcher[string], *historian) {
	w.Helper()
	s := &historian{Store: w.Store, history: history}
	a := w.watchFrom("1", value.New(s, w.key, value.String, value.WithBacklog(1)), value.EveryUpdate())
	w.Settle()
	for _, text := range []string{"2", "3", "4", "5"} {
		w.put(text)
		w.Settle()
	}
	return a, s
}

// some yields the first n events of the history, and then err.
func (r historyRead) some(n int, err error) {
	if n > 0 {
		for b, err := range oneByOne(r.watch) {
			if n--; !r.yield(b, err) {
				return
			}
			if n == 0 {
				break
			}
		}
	}
	r.yield(kv.Batch{}, err)
}

// hang waits for the end of the context, and yields it. It returns how long that took.
func (r historyRead) hang() time.Duration {
	began := time.Now()
	<-r.ctx.Done()
	took := time.Since(began)
	r.yield(kv.Batch{}, r.ctx.Err())
	return took
}

// oneByOne yields each event of a watch in a batch.
func oneByOne(watch iter.Seq2[kv.Batch, error]) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range watch {
			if err != nil || b.IsBookmark() {
				if !yield(b, err) {
					return
				}
				continue
			}
			for _, ev := range b.Events {
				if !yield(kv.Batch{Revision: ev.ModRevision, Events: []kv.Event{ev}}, nil) {
					return
				}
			}
		}
	}
}
