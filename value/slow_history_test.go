package value_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// A batch of a megabyte over twenty kilobytes a second takes most of a minute.
func TestV4HistoryOverASlowLinkArrives(t *testing.T) {
	for _, d := range []time.Duration{4 * time.Second, 12 * time.Second, 52 * time.Second, 5 * time.Minute} {
		t.Run(d.String(), func(t *testing.T) {
			inBubble(t, "V4, each update once, in order: no constant bounds how long the store takes to bring them", func(w *world) {
				watcher, _ := behind(w, func(r historyRead) {
					select {
					case <-time.After(d):
						r.watch(r.yield)
					case <-r.ctx.Done():
						r.yield(kv.Batch{}, r.ctx.Err())
					}
				})
				watcher.GivesEach("2", "3", "4", "5")
			})
		})
	}
}

func TestV11AWatchOfHistoryThatSaysClosedIsConfirmedByARead(t *testing.T) {
	inBubble(t, "V11, a closed store is an error once a read has confirmed it", func(w *world) {
		watcher, _ := behind(w, func(r historyRead) {
			if r.n == 1 {
				r.yield(kv.Batch{}, &kv.OpError{Store: "historian", Op: "watch", Reason: kv.ErrClosed})
				return
			}
			r.watch(r.yield)
		})
		watcher.GivesEach("2", "3", "4", "5")
	})
}

func TestV11AClosedStoreIsSaidWhileHistoryIsRead(t *testing.T) {
	inBubble(t, "V11, a closed store is an error", func(w *world) {
		watcher, _ := behind(w, func(r historyRead) {
			r.yield(kv.Batch{}, &kv.OpError{Store: "historian", Op: "watch", Reason: kv.ErrClosed})
		})
		w.must(w.backend.(*memoryBackend).Close())
		for {
			if _, err := watcher.Next(); err != nil {
				if !value.IsFinal(err) {
					w.broken("Get returned %v, want that the store was closed", err)
				}
				return
			}
		}
	})
}

// several looks after its own reads, and answers each late.
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

// A small read is repeated each second, where the next connection may answer. Those that are given up are no outage.
func TestV11ASlowStoreThatAnswersIsNoOutage(t *testing.T) {
	inBubble(t, "V11, an outage is that the store does not answer", func(w *world) {
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
			w.broken("each read is answered after nine seconds, and Status is %+v", st)
		}
	})
}

func TestV16AnEventThatIsLostFromHistoryIsCountedAndHealed(t *testing.T) {
	inBubble(t, "V16, a lost event is logged, counted and healed", func(w *world) {
		watcher, _ := behind(w, func(r historyRead) {
			for b, err := range r.watch {
				if r.n == 1 && err == nil && len(b.Events) > 1 {
					b.Events = b.Events[1:]
				}
				if !r.yield(b, err) {
					return
				}
			}
		})
		watcher.GivesEach("2", "3", "4", "5")
		if st := watcher.Of.Status(); st.Holes != 1 {
			w.broken("Status counts %d lost events, want 1", st.Holes)
		}
	})
}
