package fault_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestTransparent(t *testing.T) {
	leaktest.Check(t)
	broken := errors.New("broken")
	events := []kv.Event{{Entry: kv.Entry{Key: "/a", ModRevision: 3}}, {Entry: kv.Entry{Key: "/b", ModRevision: 3}}}
	asked := 0
	s := fault.New(script{
		get: func() (kv.Snapshot, error) { return kv.Snapshot{Revision: 3}, broken },
		watch: func(yield func(kv.Batch, error) bool) {
			for _, batch := range []kv.Batch{{Revision: 2}, {Revision: 3, Events: events}} {
				asked++
				if !yield(batch, nil) {
					return
				}
			}
			yield(kv.Batch{}, broken)
		},
	})
	s.Fail(-1, kv.ErrUnavailable, fault.On(kv.Key("/elsewhere"))) // a fault on other keys

	if snapshot, err := s.Get(t.Context(), kv.Key("/a")); err != broken || snapshot.Revision != 3 {
		t.Errorf("Get gave %+v, %v", snapshot, err)
	}
	watch := s.Watch(t.Context(), kv.Key("/a"), 1)
	for range 2 { // each iteration is a separate watch
		var got string
		for batch, err := range watch {
			if err != nil && err != broken {
				t.Errorf("the error is %v, want the store's own", err)
			}
			if len(batch.Events) == 2 && &batch.Events[0] != &events[0] {
				t.Error("the events were copied, want the store's own slice")
			}
			got += fmt.Sprint(batch.Revision, len(batch.Events), err, "; ")
		}
		want(t, "the watch", got, "2 0 <nil>; 3 2 <nil>; 0 0 broken; ")
	}
	asked = 0
	for range watch {
		break
	}
	if asked != 1 {
		t.Errorf("a consumer took one batch, but the store was asked for %d", asked)
	}
}

func TestTheStoresErrorIsReturnedWhenAContextEndsInTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, _ *fault.Store) {
		ctx, cancel := context.WithCancel(ctx)
		own := errors.New("the store's own")
		s := fault.New(script{
			get:   func() (kv.Snapshot, error) { <-ctx.Done(); return kv.Snapshot{}, own },
			watch: func(yield func(kv.Batch, error) bool) { <-ctx.Done(); yield(kv.Batch{}, own) },
		})
		s.Fail(-1, kv.ErrUnavailable, fault.Answered)
		reading, watch := get(ctx, s), follow(s.Watch(ctx, kv.All(), 1))
		hangs(t, reading)
		cancel()
		wantError(t, finished(t, reading).err, own)
		wantError(t, watch.ended(t), own)
	})
}

// The store gets a different context than the caller's. That context has ended for another reason.
func TestAStreamEndsWithTheErrorOfTheCallersContext(t *testing.T) {
	for name, happens := range map[string]func(s *fault.Store){
		"cut":         func(s *fault.Store) { s.Cut() },
		"silence":     func(s *fault.Store) { s.Silence() },
		"end streams": func(s *fault.Store) { s.EndStreams(kv.ErrUnavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
				if _, err := under.Put(ctx, "k", nil); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				for _, err := range s.Watch(ctx, kv.Key("k"), 0) {
					if err != nil {
						wantError(t, err, context.DeadlineExceeded)
						if errors.Is(err, context.Canceled) {
							t.Errorf("%v matches context.Canceled too", err)
						}
						break
					}
					happens(s)
					time.Sleep(2 * time.Second) // the consumer is busy until after its deadline
				}
			})
		})
	}
}

func TestInvalidCallsAreRefusedByTheWrappedStore(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		s.Cut()
		_, err := s.Get(ctx, kv.Key(""))
		wantError(t, err, kv.ErrInvalidKey)
		for _, err := range s.Watch(ctx, kv.Range{}, 0) {
			wantError(t, err, kv.ErrInvalidRange)
		}
		_, err = s.Put(ctx, "", nil)
		wantError(t, err, kv.ErrInvalidKey)
		_, err = s.Delete(ctx, "")
		wantError(t, err, kv.ErrInvalidKey)
		_, err = s.Commit(ctx, kv.PutOp("", nil))
		wantError(t, err, kv.ErrInvalidKey)
		_, err = s.Commit(ctx, kv.PutOp("twice", nil), kv.DeleteOp("twice"))
		wantError(t, err, kv.ErrInvalidKey)
		_, err = s.Commit(ctx, kv.Op{Type: 9, Key: "k"})
		wantError(t, err, kv.ErrUnsupported)
		want(t, "counts", s.Counts().String(), "nothing")
	})
}

func TestWritesNeedAWriter(t *testing.T) {
	s := fault.New(script{})
	_, err := s.Put(t.Context(), "/a", nil)
	wantError(t, err, kv.ErrUnsupported)
	want(t, "message", err.Error(), `kv/fault: put "/a": unsupported operation by this store`)
	_, err = s.Delete(t.Context(), "/a")
	wantError(t, err, kv.ErrUnsupported)
	_, err = s.Commit(t.Context(), kv.PutOp("/a", nil), kv.DeleteOp("/b"))
	wantError(t, err, kv.ErrUnsupported)
	want(t, "message", err.Error(), `kv/fault: commit "/a", "/b": unsupported operation by this store`)
}

func TestMatch(t *testing.T) {
	get := func(r kv.Range) fault.Call { return fault.Call{Op: fault.Gets, Range: r} }
	commit := fault.Call{Op: fault.Commits, Keys: []string{"/a", "/c"}}
	for _, test := range []struct {
		match fault.Match
		call  fault.Call
		want  bool
	}{
		{fault.Gets, get(kv.All()), true},
		{fault.Watches, get(kv.All()), false},
		{fault.Reads, get(kv.All()), true},
		{fault.Writes, commit, true},
		{fault.On(kv.Key("/a")), get(kv.Key("/a")), true},
		{fault.On(kv.Key("/a")), get(kv.Key("/b")), false},
		{fault.On(kv.Key("/a")), get(kv.Key("/a\x00")), false},
		{fault.On(kv.Key("/a/b")), get(kv.Prefix("/a")), true},
		{fault.On(kv.Prefix("/a")), get(kv.Key("/a/b")), true},
		{fault.On(kv.Prefix("/a")), get(kv.All()), true},
		{fault.On(kv.All()), get(kv.Prefix("\xff")), true},
		{fault.On(kv.Prefix("\xff")), get(kv.Key("\xff\xff")), true},
		{fault.On(kv.Prefix("\xff")), get(kv.Key("\xfe")), false},
		{fault.On(kv.Interval("/a", "/b")), get(kv.Interval("/b", "/c")), false},
		{fault.On(kv.Interval("/b", "/c")), get(kv.Interval("/a", "/b")), false},
		{fault.On(kv.Interval("/a", "/c")), get(kv.Interval("/b", "/d")), true},
		{fault.On(kv.Key("/c")), commit, true},
		{fault.On(kv.Key("/b")), commit, false},
		{fault.On(kv.All()), fault.Call{Op: fault.Commits, Keys: []string{}}, false},
		{fault.Answered, get(kv.All()), false},
		{fault.Answered, fault.Call{Answered: true}, true},
	} {
		if got := test.match.Matches(test.call); got != test.want {
			t.Errorf("%v matches %v: %v", test.match, test.call, got)
		}
	}
}

func TestAllMatchesMustHold(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		s.Fail(-1, kv.ErrUnavailable, fault.Gets, fault.On(kv.Key("/b")))
		wantError(t, finished(t, get(ctx, s)).err, kv.ErrNotFound)
		_, err := s.Get(ctx, kv.All())
		wantError(t, err, kv.ErrUnavailable)
		put(t, s, "/b", "")
	})
}

func TestMeaninglessRulesPanic(t *testing.T) {
	for name, do := range map[string]func(){
		"no range": func() { fault.On(kv.Range{}) },
		"no error": func() { fault.New(script{}).Fail(1, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			do()
		}()
	}
}

func TestCounts(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		waited := make(chan error, 1)
		go func() { waited <- s.Wait(ctx, func(c fault.Counts) bool { return c.Blocked == 2 }) }()
		watch := follow(s.Watch(ctx, kv.All(), 1))
		put(t, s, "/a", "1")
		want(t, "watch", watch.news(), "put /a=1")
		if _, err := s.Commit(ctx, kv.DeleteOp("/a"), kv.PutOp("/b", nil)); err != nil {
			t.Fatal(err)
		}
		want(t, "watch", watch.news(), "delete /a=, put /b=")
		if _, err := s.Delete(ctx, "/b"); err != nil {
			t.Fatal(err)
		}
		watch.news()
		s.Cut()
		reading := get(ctx, s)
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		want(t, "cut off", s.Counts().String(),
			"gets 1, watches 1, puts 1, deletes 1, commits 1, batches 3, events 4, streams 1, blocked 2")
		s.Heal()
		finished(t, reading)
		s.EndStreams(kv.ErrUnavailable)
		watch.ended(t)
		want(t, "at the end", s.Counts().String(),
			"gets 1, watches 1, puts 1, deletes 1, commits 1, batches 3, events 4")

		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		err := s.Wait(short, func(c fault.Counts) bool { return c.Gets == 2 })
		wantError(t, err, context.DeadlineExceeded)
		if !strings.Contains(err.Error(), "gets 1") {
			t.Errorf("the error does not name the counts: %v", err)
		}
	})
}

func TestStringListsTheRules(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context, under *memory.Store, s *fault.Store) {
		s.Cut()
		s.Freeze(fault.Reads)
		s.Delay(time.Second, fault.Writes, fault.On(kv.Prefix("/a")))
		s.Fail(2, kv.ErrUnavailable, fault.Gets, fault.Answered)
		s.Fail(-1, kv.ErrPermission, fault.Watches)
		held := s.Hold(fault.Gets)
		s.Hold()
		s.Drop(1, fault.Deletes)
		s.Duplicate(-1, fault.On(kv.Key("/b")))
		reading := get(ctx, s)
		<-held.Reached()
		synctest.Wait()
		want(t, "rules", s.String(), `kv/fault:
	cut off: everything
	freeze: get|watch
	delay by 1s: put|delete|commit on "/a"*
	fail the next 2: get answered (unavailable)
	fail every time: watch (permission denied)
	holding: get
	hold the next: everything
	drop events, the next 1: delete
	duplicate events, every time: on "/b"`)
		s.Clear()
		wantError(t, finished(t, reading).err, kv.ErrNotFound)
		want(t, "rules", s.String(), "kv/fault: no faults")
	})
}

// If a context has a foreign type, a goroutine waits for its end, until the contexts that are derived from it end.
func TestStreamsLeaveNothingBehind(t *testing.T) {
	leaktest.Check(t)
	ctx := foreign{Context: t.Context(), done: make(chan struct{})}
	s := fault.New(memory.New())
	put(t, s, "/a", "1")
	for range s.Watch(ctx, kv.All(), 1) {
		break
	}
	for range s.Watch(ctx, kv.All(), 1) {
		s.EndStreams(kv.ErrUnavailable)
	}
	for range s.Watch(ctx, kv.All(), 1) {
		s.Cut()
		s.Heal()
		s.EndStreams(kv.ErrUnavailable)
	}
}

type foreign struct {
	context.Context
	done chan struct{}
}

func (f foreign) Done() <-chan struct{} { return f.done }
func (foreign) Value(any) any           { return nil }

// With any faults that a correct store may have, each stream that does not end delivers every event once, in order.
func TestStreamsMissNothingDuringRandomFaults(t *testing.T) {
	leaktest.Check(t)
	for seed := range uint64(50) {
		under := memory.New()
		s := fault.New(under)
		ctx, cancel := context.WithCancel(t.Context())
		const puts = 100
		var all sync.WaitGroup
		for reader := range 4 {
			all.Go(func() {
				next := 0
				for rev := kv.Revision(1); next < puts; {
					for batch, err := range s.Watch(ctx, kv.Key("/a"), rev) {
						if err != nil {
							if !errors.Is(err, kv.ErrUnavailable) {
								t.Errorf("seed %d, reader %d: %v", seed, reader, err)
								return
							}
							break
						}
						for _, e := range batch.Events {
							if string(e.Value) != fmt.Sprint(next) {
								t.Errorf("seed %d, reader %d: got %s, want %d", seed, reader, e.Value, next)
								return
							}
							next++
						}
						if rev = batch.Revision; next == puts {
							break
						}
					}
				}
			})
		}
		all.Go(func() {
			for i := range puts {
				put(t, under, "/a", fmt.Sprint(i))
			}
		})
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, 0))
			for range 100 {
				switch random.IntN(7) {
				case 0:
					s.Cut()
				case 1:
					s.Freeze(fault.Watches)
				case 2:
					s.Heal()
				case 3:
					s.EndStreams(kv.ErrUnavailable)
				case 4:
					s.Fail(1, kv.ErrUnavailable, fault.Watches, fault.Answered)
				case 5:
					hold := s.Hold(fault.Watches)
					all.Go(hold.Release)
				case 6:
					s.Delay(time.Microsecond, fault.Answered)
				}
			}
			s.Clear()
		})
		all.Wait()
		cancel()
		if c := s.Counts(); c.Streams != 0 || c.Blocked != 0 {
			t.Errorf("seed %d: left behind: %v", seed, c)
		}
		if t.Failed() {
			return
		}
	}
}
