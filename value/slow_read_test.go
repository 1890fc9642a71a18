package value_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

func TestV11AWorkingWatchIsNotAbandonedForASlowRead(t *testing.T) {
	inBubble(t, "V11, a read that takes long is reported, and the watch that works goes on", func(w *world) {
		w.put("1")
		watcher := watch(w, w.text())
		watcher.Gives("1")
		w.Streaming(1)
		watches := w.Counts().Watches
		w.Delay(25*time.Second, fault.Gets)
		w.pass(75 * time.Second) // the check began after a minute
		w.put("2")
		began := time.Now()
		watcher.Gives("2")
		if d := time.Since(began); d > 0 {
			w.broken("the watch delivered the value after %v", d)
		}
		w.pass(time.Hour)
		if n := w.Counts().Watches; n != watches {
			w.broken("the store was watched %d times more", n-watches)
		}
	})
}

func TestV1ASlowFirstReadIsReturned(t *testing.T) {
	for _, d := range []time.Duration{12 * time.Second, 52 * time.Second, 5 * time.Minute} {
		t.Run(d.String(), func(t *testing.T) {
			inBubble(t, "V1, no constant limits the time of a read", func(w *world) {
				w.put("1")
				w.Delay(d, fault.Gets)
				watch(w, w.text()).Gives("1")
			})
		})
	}
}

func TestV11ALostReadIsRepeated(t *testing.T) {
	inBubble(t, "V11, a read without an answer is made again", func(w *world) {
		w.put("1")
		h := w.Hold(fault.Gets)
		began := time.Now()
		watch(w, w.text()).Gives("1")
		if d := time.Since(began); d > 15*time.Second {
			w.broken("Get returned after %v", d)
		}
		h.Release()
	})
}

// several is a store that tries several connections for a read by itself, and answers each read late.
type several struct {
	kv.Store
	late atomic.Int64 // how late, as a time.Duration
}

func (s *several) ReadsAgain() bool { return true }

func (s *several) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	select {
	case <-time.After(time.Duration(s.late.Load())):
		return s.Store.Get(ctx, r)
	case <-ctx.Done():
		return kv.Snapshot{}, &kv.OpError{Store: "several", Op: "get", Reason: ctx.Err()}
	}
}

// A small read is repeated each second, because the next connection may answer. The reads that are cancelled for that are no outage.
func TestV11ASlowStoreIsNotAnOutage(t *testing.T) {
	inBubble(t, "V11, only a store that does not answer is an outage", func(w *world) {
		m := memory.New()
		_, err := m.Put(w.Context(), w.key, []byte("1"))
		w.must(err)
		s := &several{Store: m}
		v := value.New(s, w.key, value.String)
		watch(w, v).Gives("1")
		w.Settle()
		s.late.Store(int64(9 * time.Second))
		w.pass(10 * time.Minute)
		if st := v.Status(); st.LastError != nil || !st.Connected || time.Since(st.Confirmed) > 3*time.Minute {
			w.broken("each read is answered after nine seconds, but Status is %+v", st)
		}
	})
}
