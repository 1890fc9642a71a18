package fault_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestEndStreams(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		a := follow(s.Watch(ctx, kv.Key("/a"), 1))
		b := follow(s.Watch(ctx, kv.Key("/b"), 1))
		want(t, "at first", a.news()+b.news(), "")
		s.EndStreams(kv.ErrUnavailable, fault.On(kv.Key("/a")))
		err := a.ended(t)
		wantError(t, err, kv.ErrUnavailable)
		want(t, "message", err.Error(), `kv/fault: watch "/a" after 1: unavailable`)

		put(t, under, "/b", "1")
		want(t, "the other stream", b.news(), "put /b=1")
		next := follow(s.Watch(ctx, kv.Key("/b"), 1))
		want(t, "the next stream", next.news(), "put /b=1")
	})
}

func TestEndStreamsEndsStreamsThatFaultsBlock(t *testing.T) {
	for name, stop := range map[string]func(*fault.Store){
		"cut":               func(s *fault.Store) { s.Cut() },
		"frozen":            func(s *fault.Store) { s.Freeze() },
		"frozen with batch": func(s *fault.Store) { s.Freeze(fault.Answered) },
		"silenced":          func(s *fault.Store) { s.Silence() },
		"held":              func(s *fault.Store) { s.Hold(fault.Answered) },
		"delayed":           func(s *fault.Store) { s.Delay(1e15, fault.Answered) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
				watch := follow(s.Watch(ctx, kv.All(), 1))
				want(t, "at first", watch.news(), "")
				stop(s)
				put(t, under, "/a", "1")
				want(t, "stopped", watch.news(), "")
				s.EndStreams(kv.ErrReset)
				wantError(t, watch.ended(t), kv.ErrReset)
			})
		})
	}
}

func TestEndStreamsWhileTheConsumerIsBusy(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		put(t, under, "/a", "1")
		put(t, under, "/a", "2")
		var batches int
		for _, err := range s.Watch(ctx, kv.All(), 1) {
			if err != nil {
				wantError(t, err, kv.ErrUnavailable)
				break
			}
			batches++
			s.EndStreams(kv.ErrUnavailable)
		}
		if batches != 1 {
			t.Errorf("%d batches came: events that were not delivered before the stream ended are lost", batches)
		}
	})
}

func TestEndStreamsWithoutAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.All(), 1))
		want(t, "at first", watch.news(), "")
		s.EndStreams(nil)
		if err := watch.ended(t); err != nil {
			t.Errorf("the stream ended with %v", err)
		}
	})
}

func TestEndStreamsAfterTheirContext(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		s.Freeze()
		watch := follow(s.Watch(ctx, kv.All(), 1))
		want(t, "at first", watch.news(), "")
		cancel()
		s.EndStreams(kv.ErrReset)
		wantError(t, watch.ended(t), context.Canceled)
	})
}

func TestSilence(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		ctx, cancel := context.WithCancel(ctx)
		dead := follow(s.Watch(ctx, kv.All(), 1))
		want(t, "at first", dead.news(), "")
		other := follow(s.Watch(ctx, kv.Key("/b"), 1))
		want(t, "at first", other.news(), "")
		s.Silence(fault.On(kv.Key("/a")))
		put(t, under, "/b", "1")
		want(t, "one that is not meant", other.news(), "put /b=1")
		put(t, under, "/a", "1")
		s.Clear()
		s.Heal()
		want(t, "silenced", dead.news(), "")
		want(t, "a read", finished(t, get(ctx, s)).value, "1")
		want(t, "another stream", follow(s.Watch(ctx, kv.All(), 1)).news(), "put /b=1, put /a=1")
		want(t, "rules", s.String(), "kv/fault:\n\tsilenced: watch all keys after 1")
		cancel()
		wantError(t, dead.ended(t), context.Canceled)
		want(t, "rules", s.String(), "kv/fault: no faults")
	})
}

func TestDrop(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.All(), 1))
		s.Drop(1, fault.Deletes, fault.On(kv.Key("/a")))
		for _, key := range []string{"/b", "/a", "/a"} {
			put(t, under, key, "1")
			if _, err := under.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "one lost", watch.news(), "put /b=1, delete /b=, put /a=1, put /a=1, delete /a=")

		// A stream that resumes after a cut does not deliver a dropped event again.
		s.Drop(1)
		put(t, under, "/a", "2")
		want(t, "lost", watch.news(), "")
		s.Cut()
		s.Heal()
		want(t, "still lost", watch.news(), "")
	})
}

func TestDropLeavesValidBatches(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, _ *fault.Store) {
		batches := func(yield func(kv.Batch, error) bool) {
			yield(kv.Batch{Revision: 8, Events: []kv.Event{{Entry: kv.Entry{Key: "/a", ModRevision: 7}},
				{Entry: kv.Entry{Key: "/b", ModRevision: 8}}}}, nil)
		}
		s := fault.New(script{watch: batches})
		s.Drop(-1, fault.Puts, fault.On(kv.Key("/b")))
		for batch := range s.Watch(ctx, kv.All(), 1) {
			if batch.Revision != 7 || len(batch.Events) != 1 {
				t.Errorf("got %+v", batch)
			}
		}
		s.Drop(-1)
		for batch := range s.Watch(ctx, kv.All(), 1) {
			t.Errorf("everything was dropped, but %+v was delivered", batch)
		}
		s.Clear()
		for batch := range s.Watch(ctx, kv.All(), 1) {
			if batch.Revision != 8 || len(batch.Events) != 2 {
				t.Errorf("got %+v", batch)
			}
		}
	})
}

func TestDuplicate(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.All(), 1))
		s.Duplicate(1, fault.On(kv.Key("/a")))
		if _, err := under.Commit(ctx, kv.PutOp("/b", nil), kv.PutOp("/a", nil), kv.PutOp("/c", nil)); err != nil {
			t.Fatal(err)
		}
		want(t, "events", watch.news(), "put /b=, put /a=, put /c=, put /a=")
		put(t, under, "/a", "2")
		want(t, "later", watch.news(), "put /a=2")
	})
}

func TestDuplicatesShareNoBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		put(t, under, "/a", "1")
		s.Duplicate(1)
		var got string
		for batch, err := range s.Watch(ctx, kv.All(), 1) {
			if err != nil {
				t.Fatal(err)
			}
			if got += string(batch.Events[0].Value); len(got) == 2 {
				break
			}
			batch.Events[0].Value[0] = 'x'
		}
		want(t, "values", got, "11")
	})
}

// script is a store whose answers the test sets.
type script struct {
	get   func() (kv.Snapshot, error)
	watch func(yield func(kv.Batch, error) bool)
}

func (s script) Get(context.Context, kv.Range) (kv.Snapshot, error) {
	if s.get == nil {
		return kv.Snapshot{}, errors.New("no script")
	}
	return s.get()
}

func (s script) Watch(context.Context, kv.Range, kv.Revision) iter.Seq2[kv.Batch, error] {
	return s.watch
}
