package value_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// If the second Close waited for a mutex, the bubble's clock would stop, and the decoder with it.
func TestV9CloseTwiceWhileASlowDecoderRuns(t *testing.T) {
	inBubble(t, v9+", and waits for a decoder", func(w *world) {
		w.put("one")
		decoded := false
		v := value.New(w.Store, w.key, func(b []byte) (string, error) {
			time.Sleep(time.Second)
			decoded = true
			return string(b), nil
		})
		a := watch(w, v)
		w.Settle()
		var closing sync.WaitGroup
		for range 2 {
			closing.Go(func() {
				a.Close()
				if !decoded {
					w.Errorf("Close returned while the decoder ran")
				}
			})
		}
		closing.Wait()
	})
}

// slowToEnd is a store whose reads end a second after their context.
type slowToEnd struct {
	kv.Store
	running atomic.Int32
	hangs   atomic.Bool
}

func (s *slowToEnd) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	if !s.hangs.Load() {
		return s.Store.Get(ctx, r)
	}
	s.running.Add(1)
	<-ctx.Done()
	time.Sleep(time.Second)
	s.running.Add(-1)
	return kv.Snapshot{}, ctx.Err()
}

func TestV9CloseWaitsForAPendingRead(t *testing.T) {
	inBubble(t, v9+", and nothing is left running", func(w *world) {
		m := memory.New()
		_, err := m.Put(w.Context(), w.key, []byte("one"))
		w.must(err)
		s := &slowToEnd{Store: m}
		a := watch(w, value.New(s, w.key, value.String, value.WithCheck(5*time.Second)))
		a.Gives("one")
		s.hangs.Store(true)
		w.pass(6 * time.Second)
		if n := s.running.Load(); n != 1 {
			w.Fatalf("the test itself: %d reads are running", n)
		}
		a.Close()
		if n := s.running.Load(); n != 0 {
			w.broken("after Close %d reads are still running", n)
		}
	})
}

func TestV9CloseWhileCatchingUp(t *testing.T) {
	inBubble(t, v9, func(w *world) {
		a := w.everyFrom(0, value.WithBacklog(2))
		w.putNumbers(1, 100)
		w.Settle()
		w.Hold(fault.Watches)
		c := a.Begin()
		c.Waits()
		a.Close()
		c.Fails(value.ErrClosed)
		if n := w.Counts(); n.Streams != 0 {
			w.broken("after Close: %v", n)
		}
	})
}

func TestV9CloseEndsAReadOfHistoryAndWaitsForItsEnd(t *testing.T) {
	inBubble(t, v9+", and nothing is left running", func(w *world) {
		ended := false
		a, _ := behind(w, func(r historyRead) {
			<-r.ctx.Done()
			time.Sleep(time.Second)
			ended = true
		})
		c := a.Begin()
		c.Waits()
		began := time.Now()
		a.Close()
		if !ended {
			w.broken("Close returned while history was being read")
		}
		wantSince(w, began, time.Second, time.Second)
		c.Fails(value.ErrClosed)
	})
}

func TestV9CloseDoesNotWaitForTheNextAttemptToReadHistory(t *testing.T) {
	inBubble(t, v9, func(w *world) {
		a, _ := behind(w, func(r historyRead) {
			r.yield(kv.Batch{}, kv.ErrUnavailable)
		})
		c := a.Begin()
		c.Waits()
		began := time.Now()
		a.Close()
		wantSince(w, began, 0, 0)
		c.Fails(value.ErrClosed)
	})
}
