package fault_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestFailCountsCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		put(t, under, "/a", "1")
		s.Fail(2, kv.ErrUnavailable, fault.Gets)
		for range 2 {
			r := finished(t, get(ctx, s))
			wantError(t, r.err, kv.ErrUnavailable)
			want(t, "message", r.err.Error(), `kv/fault: get "/a": unavailable`)
		}
		want(t, "the third", finished(t, get(ctx, s)).value, "1")
	})
}

func TestFailForEverUntilRemoved(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		put(t, under, "/a", "1")
		rule := s.Fail(-1, kv.ErrUnavailable)
		for range 10 {
			wantError(t, finished(t, get(ctx, s)).err, kv.ErrUnavailable)
		}
		rule.Remove()
		rule.Remove()
		want(t, "after", finished(t, get(ctx, s)).value, "1")
	})
}

func TestFailZeroTimes(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		s.Fail(0, kv.ErrUnavailable)
		want(t, "rules", s.String(), "kv/fault: no faults")
		wantError(t, finished(t, get(ctx, s)).err, kv.ErrNotFound)
	})
}

func TestFailWritesBeforeOrAfterTheyHappen(t *testing.T) {
	for _, op := range []struct {
		ops fault.Ops
		do  func(context.Context, *fault.Store) (kv.Revision, error)
	}{
		{fault.Puts, func(ctx context.Context, s *fault.Store) (kv.Revision, error) { return s.Put(ctx, "/a", nil) }},
		{fault.Deletes, func(ctx context.Context, s *fault.Store) (kv.Revision, error) { return s.Delete(ctx, "/a") }},
		{fault.Commits, func(ctx context.Context, s *fault.Store) (kv.Revision, error) {
			return s.Commit(ctx, kv.PutOp("/b", nil), kv.PutOp("/a", nil))
		}},
	} {
		inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
			put(t, under, "/a", "1")
			before := revision(t, under)
			s.Fail(1, kv.ErrUnavailable, op.ops, fault.On(kv.Key("/a")))
			_, err := op.do(ctx, s)
			wantError(t, err, kv.ErrUnavailable)
			if revision(t, under) != before {
				t.Errorf("%v: the write reached the store", op.ops)
			}
			s.Fail(1, kv.ErrUnavailable, op.ops, fault.On(kv.Key("/a")), fault.Answered)
			_, err = op.do(ctx, s)
			wantError(t, err, kv.ErrUnavailable)
			if revision(t, under) != before+1 {
				t.Errorf("%v: the write did not reach the store, but only its answer should fail", op.ops)
			}
			if _, err := op.do(ctx, s); err != nil {
				t.Errorf("%v: %v", op.ops, err)
			}
		})
	}
}

func TestFailWatchesAtOnceOrAtTheirNextBatch(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		put(t, under, "/a", "1")
		s.Fail(1, kv.ErrPermission, fault.Watches)
		wantError(t, follow(s.Watch(ctx, kv.All(), 1)).ended(t), kv.ErrPermission)

		watch := follow(s.Watch(ctx, kv.All(), 1))
		want(t, "the second", watch.news(), "put /a=1")
		s.Fail(1, kv.ErrUnavailable, fault.Watches, fault.Answered)
		want(t, "running on", watch.news(), "")
		put(t, under, "/a", "2")
		want(t, "instead of the batch", watch.news(), "")
		wantError(t, watch.ended(t), kv.ErrUnavailable)
	})
}

func TestFailReturnsOpErrorsUnchanged(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		given := &kv.OpError{Store: "kv/etcd", Op: "get", Reason: kv.ErrPermission}
		s.Fail(1, given)
		if err := finished(t, get(ctx, s)).err; err != error(given) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFailAppliesDuringACut(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		s.Cut()
		s.Fail(-1, kv.ErrUnavailable)
		wantError(t, finished(t, get(ctx, s)).err, kv.ErrUnavailable)
	})
}

func TestFailDoesNotCountCallsWhoseContextIsDone(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		over, cancel := context.WithCancel(ctx)
		cancel()
		s.Fail(1, kv.ErrUnavailable)
		wantError(t, finished(t, get(over, s)).err, context.Canceled)
		wantError(t, finished(t, get(ctx, s)).err, kv.ErrUnavailable)
	})
}

func TestDelay(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		took := func(reading <-chan result) time.Duration {
			start := time.Now()
			<-reading
			return time.Since(start)
		}
		s.Delay(time.Second, fault.Gets)
		s.Delay(time.Minute, fault.Gets, fault.Answered)
		if d := took(get(ctx, s)); d != time.Minute+time.Second {
			t.Errorf("took %v", d)
		}

		short, cancel := context.WithTimeoutCause(ctx, 2*time.Second, errors.New("no patience"))
		defer cancel()
		start := time.Now()
		r := <-get(short, s)
		wantError(t, r.err, context.DeadlineExceeded)
		want(t, "message", r.err.Error(), `kv/fault: get "/a": context deadline exceeded (no patience)`)
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("the call ended after %v", d)
		}

		reading := get(ctx, s)
		synctest.Wait()
		s.Clear()
		if d := took(reading); d != 0 {
			t.Errorf("the call took %v after the delay was cleared", d)
		}
	})
}

func TestDelayOfBatches(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		s.Delay(time.Second, fault.Watches, fault.Answered)
		watch := follow(s.Watch(ctx, kv.All(), 1))
		put(t, under, "/a", "1")
		start := time.Now()
		want(t, "at once", watch.news(), "")
		want(t, "later", <-watch.seen, "put /a=1")
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v", d)
		}
	})
}
