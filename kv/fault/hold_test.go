package fault_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestHoldStopsACallBeforeTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		hold := s.Hold(fault.Gets)
		reading := get(ctx, s)
		if err := hold.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		put(t, under, "/a", "new")
		hangs(t, reading)
		hold.Release()
		want(t, "value", finished(t, reading).value, "new")
	})
}

func TestHoldStopsAnAnswerBeforeTheCaller(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		put(t, under, "/a", "old")
		hold := s.Hold(fault.Gets, fault.Answered)
		reading := get(ctx, s)
		<-hold.Reached()
		put(t, under, "/a", "new")
		hangs(t, reading)
		hold.Release()
		want(t, "value", finished(t, reading).value, "old")
	})
}

func TestHoldStopsAWatchBeforeItOpens(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		hold := s.Hold(fault.Watches)
		watch := follow(s.Watch(ctx, kv.All(), 1))
		<-hold.Reached()
		put(t, under, "/a", "1")
		want(t, "held", watch.news(), "")
		hold.Release()
		want(t, "released", watch.news(), "put /a=1")
	})
}

func TestHoldStopsAStreamBetweenBatches(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.All(), 1))
		put(t, under, "/a", "1")
		want(t, "at first", watch.news(), "put /a=1")
		hold := s.Hold(fault.Watches, fault.Answered)
		put(t, under, "/a", "2")
		put(t, under, "/a", "3")
		want(t, "held", watch.news(), "")
		<-hold.Reached()
		hold.Release()
		want(t, "released", watch.news(), "put /a=2, put /a=3")
	})
}

func TestHoldHoldsOneCall(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		put(t, under, "/a", "1")
		hold := s.Hold()
		first := get(ctx, s)
		<-hold.Reached()
		want(t, "the second call", finished(t, get(ctx, s)).value, "1")
		hangs(t, first)
		hold.Release()
		hold.Release()
		finished(t, first)
	})
}

func TestHeldCallsEndWithTheirContext(t *testing.T) {
	for _, moment := range []fault.Match{fault.Gets | fault.Watches, fault.Answered} {
		inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
			put(t, under, "/a", "1")
			ctx, cancel := context.WithCancel(ctx)
			onGet, onWatch := s.Hold(fault.Gets, moment), s.Hold(fault.Watches, moment)
			reading := get(ctx, s)
			watch := follow(s.Watch(ctx, kv.All(), 1))
			<-onGet.Reached()
			<-onWatch.Reached()
			cancel()
			wantError(t, finished(t, reading).err, context.Canceled)
			wantError(t, watch.ended(t), context.Canceled)
			want(t, "rules", s.String(), "kv/fault: no faults")
		})
	}
}

func TestHoldSurvivesACut(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.All(), 1))
		hold := s.Hold(fault.Watches, fault.Answered)
		put(t, under, "/a", "1")
		<-hold.Reached()
		s.Cut()
		s.Heal()
		want(t, "cut and healed, still held", watch.news(), "")
		hold.Release()
		want(t, "released", watch.news(), "put /a=1")
	})
}

func TestHoldWaitsForABatchThroughACut(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.All(), 1))
		want(t, "at first", watch.news(), "")
		hold := s.Hold(fault.Watches, fault.Answered)
		s.Cut()
		s.Heal()
		want(t, "healed", watch.news(), "")
		select {
		case <-hold.Reached():
			t.Fatal("the hold has held something before any call came")
		default:
		}
		put(t, under, "/a", "1")
		<-hold.Reached()
	})
}

func TestHeldBatchesOfSilencedStreamsAreNotDelivered(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := follow(s.Watch(ctx, kv.All(), 1))
		hold := s.Hold(fault.Watches, fault.Answered)
		put(t, under, "/a", "1")
		<-hold.Reached()
		s.Silence()
		hold.Release()
		want(t, "silenced", watch.news(), "")
		s.EndStreams(kv.ErrUnavailable)
		wantError(t, watch.ended(t), kv.ErrUnavailable)
	})
}

func TestHoldWaitPrefersSuccess(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		hold := s.Hold()
		reading := get(ctx, s)
		<-hold.Reached()
		hold.Release()
		finished(t, reading)
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		for range 100 {
			if err := hold.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestHoldWaitFails(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		hold := s.Hold(fault.Gets)
		waited := make(chan error, 1)
		go func() { waited <- hold.Wait(ctx) }()
		synctest.Wait()
		hold.Release()
		if err := <-waited; err == nil {
			t.Error("Wait returned nil for a hold that was released before it held anything")
		}
		want(t, "a call after the release", finished(t, get(ctx, s)).value, "")

		hold = s.Hold(fault.Gets)
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		wantError(t, hold.Wait(ctx), context.Canceled)
	})
}
