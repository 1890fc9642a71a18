package value_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestV16ALostPutIsFound(t *testing.T) {
	each(t, v16, func(w *world) {
		var log logbook
		w.putNumbers(0, 0)
		v := w.number(log.option())
		newest, every := both(w, v, 0)
		w.Streaming(1)
		w.Drop(1)
		w.putNumbers(1, 1)
		w.Settle()
		w.putNumbers(2, 3)
		every.GivesEach(numbers(1, 3)...) // the history still has it
		w.Settle()
		newest.Gives(3, value.AtLeast[int](every.Revision()))
		if s := v.Status(); s.Holes != 1 {
			w.broken("after one lost event Status is %+v", s)
		}
		if n := log.count("lost an event"); n != 1 || log.count("\n") != 1 {
			w.broken("after one lost event the log says:\n%s", &log)
		}
		w.putsArrive(every, 4, 5)
		if s := v.Status(); s.Holes != 1 || !s.Connected {
			w.broken("after one lost event Status is %+v", s)
		}
	})
}

// fromZero is a store that is at revision zero when it is empty. The contract allows that.
type fromZero struct{ kv.Store }

func (s fromZero) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.Store.Get(ctx, r)
	snapshot.Revision--
	for i := range snapshot.Entries {
		snapshot.Entries[i].CreateRevision--
		snapshot.Entries[i].ModRevision--
	}
	return snapshot, err
}

func (s fromZero) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range s.Store.Watch(ctx, r, after+1) {
			b.Revision--
			for i, ev := range b.Events {
				if b.Events[i].ModRevision--; ev.Type == kv.EventPut {
					b.Events[i].CreateRevision--
				}
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func TestV16ALostPutIsFoundAtRevisionZero(t *testing.T) {
	inBubble(t, v16, func(w *world) {
		v := value.New(fromZero{w.Store}, w.key, value.JSON[int])
		newest, every := watch(w, v), watch(w, v, value.EveryUpdate())
		newest.HasNothing()
		every.HasNothing()
		w.Streaming(1)
		w.Drop(1)
		w.putNumbers(1, 1)
		w.Settle()
		w.putNumbers(2, 2)
		every.GivesEach(numbers(1, 2)...) // the history still has the first
		newest.Gives(2, value.AtLeast[int](every.Revision()))
		if s := v.Status(); s.Holes != 1 || s.Revision != 2 {
			w.broken("after one lost event Status is %+v", s)
		}
	})
}

func TestV16OtherLostEvents(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(w *world)
		match  []fault.Match
		events func(w *world)
	}{
		{"a deletion", func(w *world) { w.put("0") }, []fault.Match{fault.Deletes}, func(w *world) { w.delete(); w.put("2") }},
		{"a creation", func(w *world) { w.put("0"); w.delete() }, []fault.Match{fault.Puts}, func(w *world) { w.put("1"); w.put("2") }},
		{"a whole life", func(w *world) { w.put("0") }, nil, func(w *world) { w.delete(); w.put("2"); w.put("3") }},
		{"a life of one put", func(w *world) { w.put("0"); w.delete() }, []fault.Match{fault.Puts}, func(w *world) { w.put("1"); w.delete() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, v16, func(w *world) {
				c.before(w)
				v := w.number(value.WithDefault(-1))
				a := watch(w, v)
				_, err := a.Next()
				w.must(err)
				w.Streaming(1)
				w.Drop(1, c.match...)
				c.events(w)
				w.Settle()
				want, err := v.Get(w.Context())
				w.must(err)
				wantValueOf(w, v, want)
				if n := v.Status().Holes; n != 1 {
					w.broken("the audit found %d holes, want 1", n)
				}
				w.put("9")
				w.Settle()
				a.Gives(9)
			})
		})
	}
}

func TestV16AnEventThatTheStoreHasLostIsAGap(t *testing.T) {
	inBubble(t, "V16, V4: an event that the store itself does not have is one gap", func(w *world) {
		w.putNumbers(0, 0)
		store := &tampered{Store: w.Store}
		store.tamper(func(b kv.Batch) []kv.Batch {
			if b.IsBookmark() {
				return []kv.Batch{b}
			}
			b.Events = slices.DeleteFunc(b.Events, func(ev kv.Event) bool { return string(ev.Value) == "2" })
			if len(b.Events) == 0 {
				return nil // an empty batch would be a bookmark, and say that nothing has changed
			}
			return []kv.Batch{b}
		})
		v := value.New(store, w.key, value.JSON[int])
		newest, every := both(w, v, 0)
		w.Streaming(1)
		first := w.putNumbers(1, 1)
		w.Settle()
		last := w.putNumbers(2, 5)
		w.pass(time.Minute)
		every.GivesEach(1)
		every.HasGap(first, last, value.ErrLostEvent)
		every.GivesEach(5)
		newest.Gives(5)
		every.HasNothing()
		w.putsArrive(every, 6, 7)
	})
}

func TestV16AnEventLostBeforeOthersIsNotAReset(t *testing.T) {
	inBubble(t, "V16, a lost event is counted, and healed by reading again", func(w *world) {
		v := w.text()
		watcher := w.watchFrom("1", v, value.EveryUpdate())
		w.Streaming(1)
		w.Drop(1)
		w.put("2")
		w.Settle()
		w.putOther()
		w.must(w.backend.(*memoryBackend).RequestProgress(w.Context()))
		watcher.Gives("2")
		if s := v.Status(); s.Holes != 1 || s.Resets != 0 {
			w.broken("Status counts %d lost events and %d resets, want 1 and 0", s.Holes, s.Resets)
		}
	})
}

func TestV16AnEventLostFromHistoryIsCountedAndRepaired(t *testing.T) {
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
