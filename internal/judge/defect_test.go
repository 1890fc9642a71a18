package judge_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
)

// defective is a store with a defect. No reader can notice the defect, because the store reports no versions. read changes the entries of
// a read. event changes an event, and returns false if the event is not delivered.
type defective struct {
	*fault.Store
	read  func(*kv.Entry)
	event func(*kv.Event) bool
}

func (s defective) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.Store.Get(ctx, r)
	for i := range snapshot.Entries {
		snapshot.Entries[i].Version = 0
		if s.read != nil {
			s.read(&snapshot.Entries[i])
		}
	}
	return snapshot, err
}

func (s defective) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range s.Store.Watch(ctx, r, after) {
			var kept []kv.Event
			for _, ev := range b.Events {
				ev.Version = 0
				if s.event == nil || s.event(&ev) {
					kept = append(kept, ev)
				}
			}
			b.Events = kept
			if !yield(b, err) {
				return
			}
		}
	}
}

// Here real watchers return something wrong, because their store has a defect. The judge must find it.
func TestTheJudgeFindsDefectsOfTheStore(t *testing.T) {
	newest, every := judge.Modes()[0], judge.Modes()[1]
	is := func(value string) func(*kv.Event) bool {
		return func(ev *kv.Event) bool { return string(ev.Value) != value }
	}
	for _, c := range []struct {
		name      string
		guarantee string // "" if there is no defect
		mode      judge.Mode
		store     defective
		after     func(*testing.T, *fault.Store, *judge.Writer) // runs after all writes
	}{
		{name: "none", mode: every},
		{name: "a value is another", guarantee: "V3", mode: newest,
			store: defective{read: func(e *kv.Entry) { e.Value = []byte("0") }, event: func(ev *kv.Event) bool { ev.Value = []byte("0"); return true }}},
		{name: "events do not come", guarantee: "V3", mode: newest, store: defective{event: func(*kv.Event) bool { return false }}},
		{name: "a put is lost", guarantee: "V4", mode: every, store: defective{event: is("2")}},
		{name: "a stream falsely reports that history is gone", guarantee: "V4", mode: every, after: func(t *testing.T, s *fault.Store, writer *judge.Writer) {
			s.Cut(fault.Watches)
			check(t, writer.Put(t.Context()))
			check(t, writer.Put(t.Context()))
			gone := s.Fail(-1, &kv.CompactedError{}, fault.Watches) // more than once, because after one such error a watcher reads the history itself
			s.EndStreams(&kv.CompactedError{})
			s.Heal()
			pass(t)
			gone.Remove()
		}},
		{name: "a stream falsely reports that history was replaced", guarantee: "V4", mode: every, after: func(t *testing.T, s *fault.Store, writer *judge.Writer) {
			check(t, writer.Delete(t.Context()))
			pass(t)
			s.EndStreams(kv.ErrReset)
		}},
		{name: "a deletion is lost", guarantee: "V6", mode: every,
			store: defective{event: func(ev *kv.Event) bool { return ev.Type == kv.EventPut }}},
		{name: "a bad value is lost", guarantee: "V7", mode: every, store: defective{event: is("panic 3")}},
		{name: "a refusal", guarantee: "V11", mode: newest, after: func(_ *testing.T, s *fault.Store, _ *judge.Writer) {
			s.Fail(2, kv.ErrPermission)
			s.EndStreams(kv.ErrUnavailable)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory.New()
				c.store.Store = fault.New(store)
				writer := begin(t, store)
				check(t, writer.Put(t.Context()))
				watchers := judge.NewWatchers(c.store, key, judge.Config{Seed: 1, Options: []value.Option{value.WithCheck(0)}})
				defer watchers.Close()
				watchers.Open(c.mode)
				pass(t)
				for _, write := range []func(context.Context) error{writer.Put, writer.PutBad, writer.Put, writer.Delete, writer.Put} {
					check(t, write(t.Context()))
					pass(t)
				}
				if c.after != nil {
					c.after(t, c.store.Store, writer)
					pass(t)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				settled := watchers.Settle(ctx, writer)
				err := watchers.Judge(writer)
				var broken *judge.Violation
				switch {
				case c.guarantee == "":
					check(t, settled)
					check(t, err)
				case !errors.As(err, &broken) || broken.Guarantee != c.guarantee:
					t.Errorf("the judge found %v, want a violation of %s", err, c.guarantee)
				default:
					t.Log(err)
				}
			})
		})
	}
}

// pass lets a minute pass, and waits until nothing happens any more.
func pass(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	<-ctx.Done()
	synctest.Wait()
}
