package fault_test

import (
	"context"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestCutCallsHangUntilHeal(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		s.Cut()
		reading := get(ctx, s)
		hangs(t, reading)
		put(t, under, "/a", "new")
		s.Heal()
		want(t, "value", finished(t, reading).value, "new") // the call reached the store only after the heal
	})
}

func TestCutCallsEndWithTheirContext(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		ctx, cancel := context.WithCancel(ctx)
		s.Cut()
		reading := get(ctx, s)
		writing := make(chan result, 1)
		go func() {
			_, err := s.Put(ctx, "/a", nil)
			writing <- result{err: err}
		}()
		watching := follow(s.Watch(ctx, kv.All(), 0))
		hangs(t, reading)
		hangs(t, writing)
		cancel()
		wantError(t, finished(t, reading).err, context.Canceled)
		wantError(t, finished(t, writing).err, context.Canceled)
		wantError(t, watching.ended(t), context.Canceled)
		if snapshot, _ := under.Get(context.Background(), kv.All()); len(snapshot.Entries) != 0 {
			t.Error("the put reached the store through the cut")
		}
	})
}

func TestCutStreamsAreSilentThenDeliverWhatTheyMissed(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.Key("/a"), 1))
		put(t, under, "/a", "1")
		want(t, "before the cut", watch.news(), "put /a=1")
		s.Cut()
		put(t, under, "/a", "2")
		put(t, under, "/a", "3")
		want(t, "in the cut", watch.news(), "")
		s.Heal()
		want(t, "after the heal", watch.news(), "put /a=2, put /a=3")
		put(t, under, "/a", "4")
		want(t, "later", watch.news(), "put /a=4")
	})
}

func TestCutStreamsReportCompactionAfterHeal(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.Key("/a"), 1))
		want(t, "at first", watch.news(), "")
		s.Cut()
		// The watched key does not change, but the stream's position is compacted.
		put(t, under, "/elsewhere", "")
		put(t, under, "/elsewhere", "")
		if err := under.Compact(ctx, revision(t, under)); err != nil {
			t.Fatal(err)
		}
		s.Heal()
		wantError(t, watch.ended(t), kv.ErrCompacted)
	})
}

// A stream has no buffer: it has received only what it has delivered. A batch that is held is still on its way, so it is read again.
func TestCutStreamsResumeAfterWhatTheyDelivered(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.Key("/a"), 1))
		want(t, "at first", watch.news(), "")
		hold := s.Hold(fault.Watches, fault.Answered)
		put(t, under, "/a", "1")
		<-hold.Reached()
		s.Cut()
		rev := put(t, under, "/a", "2")
		if err := under.Compact(ctx, rev); err != nil {
			t.Fatal(err)
		}
		hold.Release()
		want(t, "released, cut off", watch.news(), "")
		s.Heal()
		wantError(t, watch.ended(t), kv.ErrCompacted)
		want(t, "delivered", watch.news(), "")
	})
}

func TestABusyConsumerGetsNothingDuringACut(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		busy := make(chan struct{})
		watch := newFollower()
		go watch.read(func(yield func(kv.Batch, error) bool) {
			for batch, err := range s.Watch(ctx, kv.Key("/a"), 1) {
				if !yield(batch, err) {
					return
				}
				<-busy
			}
		})
		put(t, under, "/a", "1")
		want(t, "at first", watch.news(), "put /a=1")
		put(t, under, "/a", "2")
		s.Cut()
		close(busy)
		want(t, "in the cut", watch.news(), "")
		s.Heal()
		want(t, "after the heal", watch.news(), "put /a=2")
	})
}

func TestFrozenStreamsSurviveCompaction(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.Key("/a"), 1))
		want(t, "at first", watch.news(), "")
		s.Freeze()
		rev := put(t, under, "/a", "1")
		want(t, "frozen", watch.news(), "")
		if err := under.Compact(ctx, rev); err != nil {
			t.Fatal(err)
		}
		reading := get(ctx, s)
		hangs(t, reading)
		s.Heal()
		want(t, "after the heal", watch.news(), "put /a=1")
		want(t, "the read", finished(t, reading).value, "1")
	})
}

func TestCutCallsThatGaveUpNeverReachTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, _ *fault.Store) {
		reached := false
		s := fault.New(script{get: func() (kv.Snapshot, error) { reached = true; return kv.Snapshot{}, nil }})
		ctx, cancel := context.WithCancel(ctx)
		s.Cut()
		reading := get(ctx, s)
		hangs(t, reading)
		cancel()
		wantError(t, finished(t, reading).err, context.Canceled)
		if reached {
			t.Error("the call reached the store")
		}
	})
}

func TestCutStopsPendingAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, _ *fault.Store) {
		answer := make(chan kv.Snapshot)
		s := fault.New(script{get: func() (kv.Snapshot, error) { return <-answer, nil }})
		reading := get(ctx, s)
		hangs(t, reading)
		s.Cut()
		answer <- kv.Snapshot{Entries: []kv.Entry{{Value: []byte("1")}}}
		hangs(t, reading)
		s.Heal()
		want(t, "value", finished(t, reading).value, "1")
	})
}

func TestCutOfAnswersLosesAcknowledgements(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		ctx, cancel := context.WithCancel(ctx)
		s.Cut(fault.Puts, fault.Answered)
		writing := make(chan result, 1)
		go func() {
			_, err := s.Put(ctx, "/a", []byte("1"))
			writing <- result{err: err}
		}()
		hangs(t, writing)
		want(t, "the write happened", finished(t, get(ctx, s)).value, "1")
		cancel()
		wantError(t, finished(t, writing).err, context.Canceled)
	})
}

func TestCutAffectsOnlyMatchingCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, _ *memory.Store, under *fault.Store) {
		s := fault.New(under) // two layers, so that the lower one counts the calls that reach the store
		watch := follow(s.Watch(ctx, kv.Key("/a"), 1))
		want(t, "at first", watch.news(), "")
		s.Cut(fault.On(kv.Key("/b")))
		put(t, under, "/a", "1")
		want(t, "watch", watch.news(), "put /a=1")
		want(t, "read", finished(t, get(ctx, s)).value, "1")
		if opened := under.Counts().Watches; opened != 1 {
			t.Errorf("the stream was opened %d times", opened)
		}
	})
}
