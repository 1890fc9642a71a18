package value_test

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchkv/watchkv/internal/valuetest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// historian is a store whose second watch at a time, which is one that reads history, is what a test says.
type historian struct {
	kv.Store
	running atomic.Int32
	begun   atomic.Int32 // watches of history
	history func(ctx context.Context, n int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool)
}

func (s *historian) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		n := s.running.Add(1)
		defer s.running.Add(-1)
		if n == 1 {
			s.Store.Watch(ctx, r, after)(yield)
			return
		}
		s.history(ctx, s.begun.Add(1), s.Store.Watch(ctx, r, after), yield)
	}
}

// behind is a watcher of every update that has to read history: it returned "1", and the key was put four times since.
func behind(w *world, s *historian) (*valuetest.Watcher[string], *value.Value[string]) {
	m := s.Store.(*memory.Store)
	put := func(text string) {
		_, err := m.Put(w.Context(), w.key, []byte(text))
		w.must(err)
	}
	put("1")
	v := value.New(s, w.key, value.String, value.WithBacklog(1))
	watcher := watch(w, v, value.EveryUpdate())
	watcher.Gives("1")
	w.Settle()
	for _, text := range []string{"2", "3", "4", "5"} {
		put(text)
		w.Settle()
	}
	return watcher, v
}

// A batch of a megabyte over twenty kilobytes a second takes most of a minute.
func TestV4HistoryOverASlowLinkArrives(t *testing.T) {
	for _, d := range []time.Duration{4 * time.Second, 12 * time.Second, 52 * time.Second, 5 * time.Minute} {
		t.Run(d.String(), func(t *testing.T) {
			inBubble(t, "V4, each update once, in order: no constant bounds how long the store takes to bring them", func(w *world) {
				s := &historian{Store: memory.New(), history: func(ctx context.Context, _ int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
					select {
					case <-time.After(d):
						watch(yield)
					case <-ctx.Done():
						yield(kv.Batch{}, ctx.Err())
					}
				}}
				watcher, _ := behind(w, s)
				watcher.GivesEach("2", "3", "4", "5")
			})
		})
	}
}

func TestV11AWatchOfHistoryThatSaysClosedIsConfirmedByARead(t *testing.T) {
	inBubble(t, "V11, a closed store is an error once a read has confirmed it", func(w *world) {
		s := &historian{Store: memory.New(), history: func(ctx context.Context, n int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
			if n == 1 {
				yield(kv.Batch{}, &kv.OpError{Store: "historian", Op: "watch", Reason: kv.ErrClosed})
				return
			}
			watch(yield)
		}}
		watcher, _ := behind(w, s)
		watcher.GivesEach("2", "3", "4", "5")
	})
}

func TestV11AClosedStoreIsSaidWhileHistoryIsRead(t *testing.T) {
	inBubble(t, "V11, a closed store is an error", func(w *world) {
		s := &historian{Store: memory.New(), history: func(_ context.Context, _ int32, _ iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
			yield(kv.Batch{}, &kv.OpError{Store: "historian", Op: "watch", Reason: kv.ErrClosed})
		}}
		watcher, _ := behind(w, s)
		w.must(s.Store.(*memory.Store).Close())
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
		s := &historian{Store: memory.New(), history: func(_ context.Context, n int32, watch iter.Seq2[kv.Batch, error], yield func(kv.Batch, error) bool) {
			for b, err := range watch {
				if n == 1 && err == nil && len(b.Events) > 1 {
					b.Events = b.Events[1:]
				}
				if !yield(b, err) {
					return
				}
			}
		}}
		watcher, v := behind(w, s)
		watcher.GivesEach("2", "3", "4", "5")
		if st := v.Status(); st.Holes != 1 {
			w.broken("Status counts %d lost events, want 1", st.Holes)
		}
	})
}
