package fault_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

// stat calls Stat as get calls Get. Its text shows the value, which must be empty.
func stat(ctx context.Context, s kv.Stater) <-chan result {
	done := make(chan result, 1)
	go func() {
		snapshot, err := s.Stat(ctx, kv.Key("/a"))
		var text string
		for _, e := range snapshot.Entries {
			text += fmt.Sprintf("%s at %d, value %q", e.Key, e.ModRevision, e.Value)
		}
		done <- result{text, err}
	}()
	return done
}

func TestFaultsOfGetsApplyToStat(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		put(t, under, "/a", "1")
		want(t, "without a fault", finished(t, stat(ctx, s)).value, `/a at 2, value ""`)

		s.Fail(1, kv.ErrUnavailable, fault.Gets, fault.On(kv.Key("/a")))
		wantError(t, finished(t, stat(ctx, s)).err, kv.ErrUnavailable)

		s.Cut(fault.Gets)
		reading := stat(ctx, s)
		hangs(t, reading)
		put(t, under, "/a", "2")
		s.Heal()
		want(t, "after the heal", finished(t, reading).value, `/a at 3, value ""`)

		_, err := s.Stat(ctx, kv.Key(""))
		wantError(t, err, kv.ErrInvalidKey)
		want(t, "counts", s.Counts().String(), "gets 3")
	})
}

func TestStatOfAStoreThatIsNotAStaterIsAGetWithoutValues(t *testing.T) {
	s := fault.New(script{get: func() (kv.Snapshot, error) {
		return kv.Snapshot{Revision: 7, Entries: []kv.Entry{{Key: "/a", Value: []byte("v"), ModRevision: 7}}}, nil
	}})
	snapshot, err := s.Stat(t.Context(), kv.Key("/a"))
	if err != nil || snapshot.Revision != 7 || len(snapshot.Entries) != 1 || snapshot.Entries[0].Value != nil {
		t.Errorf("Stat returned %+v, %v, want the entry without its value", snapshot, err)
	}
}

// acknowledged watches /a after revision 1. The follower also sees the acknowledgements.
func acknowledged(ctx context.Context, s kv.Acknowledger) *follower {
	f := newFollower()
	go f.read(s.WatchAcknowledged(ctx, kv.Key("/a"), 1, func() { f.seen <- "acknowledged" }))
	return f
}

func TestAWatchIsAcknowledgedWhenTheStoreServesIt(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := acknowledged(ctx, s)
		want(t, "at first", watch.news(), "acknowledged")
		put(t, under, "/a", "1")
		want(t, "after a put", watch.news(), "put /a=1")
		want(t, "counts", s.Counts().String(), "watches 1, batches 1, events 1, streams 1")
	})
}

func TestAWatchIsNotAcknowledgedWhileAFaultBlocksIt(t *testing.T) {
	for name, bar := range map[string]func(*fault.Store) (lift func()){
		"cut":             func(s *fault.Store) func() { s.Cut(); return s.Heal },
		"answers cut off": func(s *fault.Store) func() { s.Cut(fault.Watches, fault.Answered); return s.Heal },
		"frozen":          func(s *fault.Store) func() { s.Freeze(); return s.Heal },
		"answers frozen":  func(s *fault.Store) func() { s.Freeze(fault.Answered); return s.Heal },
		"held":            func(s *fault.Store) func() { return s.Hold(fault.Watches).Release },
		"delayed": func(s *fault.Store) func() {
			s.Delay(time.Second, fault.Watches)
			return func() { time.Sleep(time.Second) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
				lift := bar(s)
				watch := acknowledged(ctx, s)
				want(t, "barred", watch.news(), "")
				lift()
				want(t, "later", watch.news(), "acknowledged")
			})
		})
	}
}

// acknowledging is a store whose watches are acknowledged when the test says so. If it is not heedless, it acknowledges no watch whose
// context has ended.
type acknowledging struct {
	*memory.Store
	served   chan struct{}
	heedless bool
}

func (s acknowledging) Itself() kv.Store { return s }

func (s acknowledging) WatchAcknowledged(ctx context.Context, r kv.Range, after kv.Revision, acknowledged func()) iter.Seq2[kv.Batch, error] {
	return s.Store.WatchAcknowledged(ctx, r, after, func() {
		done := ctx.Done()
		if s.heedless {
			done = nil
		}
		select {
		case <-s.served:
			acknowledged()
		case <-done:
		}
	})
}

func TestAWatchIsNotAcknowledgedBeforeTheWrappedStoreAcknowledgesIt(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, _ *fault.Store) {
		slow := acknowledging{under, make(chan struct{}), false}
		s := fault.New(slow)
		watch := acknowledged(ctx, s)
		want(t, "not served", watch.news(), "")
		s.Cut()
		s.Heal()
		want(t, "cut and healed, not served", watch.news(), "")
		slow.served <- struct{}{}
		want(t, "served", watch.news(), "acknowledged")
	})
}

// The acknowledgement has passed the wrapped store and is on its way when the connection breaks.
func TestAPendingAcknowledgementIsLostWithItsConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		s.Freeze(fault.Answered)
		watch := acknowledged(ctx, s)
		want(t, "on its way", watch.news(), "")
		s.Cut(fault.Watches)
		want(t, "cut off", watch.news(), "")
		if n := under.Watches(); n != 0 {
			t.Errorf("%d watches of the store are left in the cut", n)
		}
		s.Heal()
		want(t, "resumed", watch.news(), "acknowledged")
	})
}

func TestAResumedWatchIsNotAcknowledgedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		watch := acknowledged(ctx, s)
		want(t, "at first", watch.news(), "acknowledged")
		for i := range 3 {
			s.Cut()
			put(t, under, "/a", fmt.Sprint(i))
			want(t, "cut", watch.news(), "")
			s.Heal()
			want(t, "healed", watch.news(), fmt.Sprintf("put /a=%d", i))
		}
	})
}

func TestAWatchThatNeverBeginsIsNotAcknowledged(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		s.Cut()
		never := acknowledged(ctx, s)
		synctest.Wait()
		s.EndStreams(kv.ErrUnavailable)
		wantError(t, never.ended(t), kv.ErrUnavailable)
		s.Heal()

		s.Fail(1, kv.ErrPermission, fault.Watches)
		refused := acknowledged(ctx, s)
		wantError(t, refused.ended(t), kv.ErrPermission)

		put(t, under, "/a", "1")
		put(t, under, "/a", "2")
		if err := under.Compact(ctx, 3); err != nil {
			t.Fatal(err)
		}
		compacted := acknowledged(ctx, s)
		wantError(t, compacted.ended(t), kv.ErrCompacted)
		want(t, "what they saw", never.news()+refused.news()+compacted.news(), "")
	})
}

func TestAnInvalidWatchIsNotAcknowledged(t *testing.T) {
	for _, under := range []kv.Store{memory.New(), struct{ kv.Store }{memory.New()}} {
		s := fault.New(under)
		acknowledged := func() { t.Errorf("an invalid watch of a %T was acknowledged", under) }
		for _, err := range s.WatchAcknowledged(t.Context(), kv.Key(""), 1, acknowledged) {
			wantError(t, err, kv.ErrInvalidKey)
		}
		for _, err := range s.WatchAcknowledged(t.Context(), kv.Key("/a"), -1, acknowledged) {
			wantError(t, err, kv.ErrInvalidRange)
		}
	}
}

// A store may acknowledge a watch that its caller has just cancelled.
func TestAWatchIsNotAcknowledgedAfterItsConnectionEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, _ *fault.Store) {
		late := acknowledging{under, make(chan struct{}), true}
		s := fault.New(late)
		watch := acknowledged(ctx, s)
		synctest.Wait()
		s.EndStreams(kv.ErrUnavailable)
		late.served <- struct{}{}
		wantError(t, watch.ended(t), kv.ErrUnavailable)
		want(t, "what it saw", watch.news(), "")
	})
}

func TestASilencedWatchIsNotAcknowledged(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, _ *fault.Store) {
		slow := acknowledging{under, make(chan struct{}), false}
		s := fault.New(slow)
		watch := acknowledged(ctx, s)
		synctest.Wait()
		s.Silence()
		want(t, "silenced", watch.news(), "")
		select {
		case slow.served <- struct{}{}:
			t.Error("the store still serves the watch")
		default:
		}
		want(t, "later", watch.news(), "")
	})
}

// A watch of a store without acknowledgements counts as acknowledged when it is opened.
func TestAWatchOfAStoreWithoutAcknowledgementsIsAcknowledgedWhenItIsOpened(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, _ *fault.Store) {
		s := fault.New(struct{ kv.Store }{under})
		s.Cut()
		watch := acknowledged(ctx, s)
		want(t, "cut off", watch.news(), "")
		s.Heal()
		want(t, "healed", watch.news(), "acknowledged")
	})
}

func TestProgressIsRequestedOfTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		put(t, under, "/a", "1")
		var seen []kv.Revision
		go func() {
			for batch, err := range s.Watch(ctx, kv.Key("/a"), 1) {
				if err == nil {
					seen = append(seen, batch.Revision)
				}
			}
		}()
		synctest.Wait()
		put(t, under, "/b", "1")
		if err := s.RequestProgress(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want(t, "batches", fmt.Sprint(seen), "[2 3]")
		want(t, "counts", s.Counts().String(), "watches 1, progress 1, batches 2, events 1, streams 1")
	})
}

func TestFaultsApplyToRequestsForProgress(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		request := func(ctx context.Context) <-chan result {
			done := make(chan result, 1)
			go func() { done <- result{err: s.RequestProgress(ctx)} }()
			return done
		}
		s.Fail(1, kv.ErrUnavailable, fault.Progress)
		err := finished(t, request(ctx)).err
		wantError(t, err, kv.ErrUnavailable)
		want(t, "message", err.Error(), "kv/fault: request progress: unavailable")

		s.Cut()
		short, cancel := context.WithCancel(ctx)
		given, waiting := request(short), request(ctx)
		hangs(t, given)
		hangs(t, waiting)
		cancel()
		wantError(t, finished(t, given).err, context.Canceled)
		hangs(t, waiting)
		s.Heal()
		if err := finished(t, waiting).err; err != nil {
			t.Errorf("after the heal the request failed: %v", err)
		}

		want(t, "operation", fault.Progress.String(), "progress")
		s.Cut(fault.On(kv.All())) // RequestProgress has no key
		if err := finished(t, request(ctx)).err; err != nil {
			t.Errorf("the request failed: %v", err)
		}
	})
}

func TestRequestProgressNeedsAProgressRequester(t *testing.T) {
	for _, s := range []*fault.Store{fault.New(script{}), fault.New(fault.New(script{}))} {
		err := s.RequestProgress(t.Context())
		wantError(t, err, kv.ErrUnsupported)
		wantError(t, err, errors.ErrUnsupported)
		want(t, "message", err.Error(), "kv/fault: request progress: unsupported operation by this store")
	}
	// The ability is found in the way in which all optional abilities are found, and kv.RequestProgress finds it.
	wantError(t, kv.RequestProgress(t.Context(), fault.New(embedding{memory.New()})), kv.ErrUnsupported)
	if err := kv.RequestProgress(t.Context(), fault.New(memory.New())); err != nil {
		t.Errorf("promised: the wrapped store gets the request; happened: %v", err)
	}
}

// embedding inherits the abilities of the store that it embeds, and has no others.
type embedding struct{ *memory.Store }

// selfReading is a store that repeats its reads by itself.
type selfReading struct{ *memory.Store }

func (s selfReading) Itself() kv.Store { return s }
func (selfReading) ReadsAgain() bool   { return true }

func TestReadsAgainIsThatOfTheWrappedStoreUnlessAFaultBlocksReads(t *testing.T) {
	if fault.New(memory.New()).ReadsAgain() {
		t.Error("promised: ReadsAgain is that of the wrapped store, false; it is true")
	}
	if fault.New(struct{ kv.Store }{selfReading{memory.New()}}).ReadsAgain() {
		t.Error("promised: ReadsAgain is false if the wrapped store does not have it; it is true")
	}
	s := fault.New(selfReading{memory.New()})
	if !s.ReadsAgain() {
		t.Error("promised: without faults ReadsAgain is that of the wrapped store, true; it is false")
	}
	for name, fail := range map[string]func() (end func()){
		"cut":    func() func() { return s.Cut(fault.Gets).Remove },
		"held":   func() func() { return s.Hold(fault.Gets).Release },
		"frozen": func() func() { return s.Freeze().Remove },
	} {
		end := fail()
		if s.ReadsAgain() {
			t.Errorf("%s: promised: ReadsAgain is false while a fault keeps reads from the store; it is true", name)
		}
		end()
		if !s.ReadsAgain() {
			t.Errorf("%s: promised: ReadsAgain is true again once the fault is gone; it is false", name)
		}
	}
}

func TestFaultsOfGetsApplyToSummaries(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		put(t, under, "/a", "1")
		summarize := func() <-chan result {
			done := make(chan result, 1)
			go func() {
				summary, err := s.Summarize(ctx, kv.Prefix("/"), 2, 1)
				done <- result{fmt.Sprintf("%d keys at %d, %d since, more: %t", summary.Count, summary.Revision, len(summary.Since), summary.More), err}
			}()
			return done
		}
		want(t, "without a fault", finished(t, summarize()).value, "1 keys at 2, 1 since, more: false")

		s.Fail(1, kv.ErrUnavailable, fault.Gets, fault.On(kv.Key("/a")))
		wantError(t, finished(t, summarize()).err, kv.ErrUnavailable)

		s.Cut(fault.Gets)
		asking := summarize()
		hangs(t, asking)
		put(t, under, "/b", "2")
		s.Heal()
		want(t, "after the heal", finished(t, asking).value, "2 keys at 3, 1 since, more: true")

		_, err := s.Summarize(ctx, kv.Key(""), 1, 1)
		wantError(t, err, kv.ErrInvalidKey)
		want(t, "counts", s.Counts().String(), "gets 3")
	})
}
