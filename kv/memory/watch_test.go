package memory_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestWatchStartsInThePastThePresentAndTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		remove(t, s, "/a")
		put(t, s, "/a", "2")
		past := follow(t, s, kv.Key("/a"), 0)
		later := follow(t, s, kv.Key("/a"), 2)
		present := follow(t, s, kv.Key("/a"), 4)
		future := follow(t, s, kv.Key("/a"), 5)

		one, two, three := putAt("/a", "1", 2, 2, 1), deleteAt("/a", 3), putAt("/a", "2", 4, 4, 1)
		past.got(join(one, two, three))
		later.got(join(two, three))
		present.got()
		future.got()

		put(t, s, "/a", "3")
		four := putAt("/a", "3", 4, 5, 2)
		past.got(four)
		later.got(four)
		present.got(four)
		future.got()

		remove(t, s, "/a")
		five := deleteAt("/a", 6)
		for _, f := range []*follower{past, later, present, future} {
			f.got(five)
			f.stop()
			f.gotEnd(context.Canceled)
		}
	})
}

func TestWatchAfterTheHighestRevisionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		for _, r := range []kv.Range{kv.Key("/a"), kv.Prefix("/"), kv.Interval("/", "/b"), kv.All()} {
			never := follow(t, s, r, math.MaxInt64)
			put(t, s, "/a", "1")
			if err := s.RequestProgress(t.Context()); err != nil {
				t.Fatal(err)
			}
			never.got()
			never.stop()
			never.gotEnd(context.Canceled)
		}
	})
}

func TestWatchIsFilteredAtEachBound(t *testing.T) {
	keys := []string{"\x00", "a", "a\x00", "a\xff", "a\xff\xff", "b", "b\x00", "ba", "\xfe\xff", "\xff", "\xff\x00", "\xff\xff", "\xff\xffz"}
	ranges := []kv.Range{
		kv.All(), kv.Key("a"), kv.Key("a\x00"), kv.Key("missing"), kv.Prefix("a"), kv.Prefix("a\xff"), kv.Prefix("\xff"),
		kv.Prefix("\xff\xff"), kv.Prefix("missing"), kv.Interval("a", "b"), kv.Interval("", "b"), kv.Interval("a\x00", "a\xff\xff"),
		kv.Interval("b", "\xff"), kv.Interval("b", "b\x00"), kv.Interval("\xff", "\xff\xff"),
	}
	for _, r := range ranges {
		t.Run(r.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memory.New()
				live := follow(t, s, r, 1)
				var want []kv.Batch
				for _, key := range keys {
					rev := put(t, s, key, "v")
					if r.Contains(key) {
						want = append(want, putAt(key, "v", rev, rev, 1))
					}
					synctest.Wait()
				}
				live.got(want...)
				past := follow(t, s, r, 1)
				if len(want) > 0 {
					past.got(join(want...))
				} else {
					past.got()
				}
				live.stop()
				past.stop()
			})
		})
	}
}

func TestSlowConsumerGetsAllMissedRevisionsWhole(t *testing.T) {
	for _, r := range []kv.Range{kv.Key("/a"), kv.Prefix("/a"), kv.Interval("/a", "/b"), kv.All()} {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New()
			slow := followSlowly(t, s, r, 1)
			put(t, s, "/a", "first")
			slow.got(putAt("/a", "first", 2, 2, 1))

			var missed []kv.Event
			for i := range 4000 {
				keys := []string{"/a", "/foreign", "/a/b"}
				ops := make([]kv.Op, len(keys))
				for j := range ops {
					ops[j] = kv.PutOp(keys[j], []byte(fmt.Sprint(i)))
				}
				rev, err := s.Commit(t.Context(), ops...)
				if err != nil {
					t.Fatal(err)
				}
				for j, key := range keys {
					create, version := kv.Revision(3), int64(i+1)
					if j == 0 {
						create, version = 2, int64(i+2)
					}
					if r.Contains(key) {
						missed = append(missed, putAt(key, fmt.Sprint(i), create, rev, version).Events...)
					}
				}
			}
			slow.got()
			slow.resume()
			synctest.Wait()

			var got []kv.Event
			var before kv.Revision = 2
			for _, batch := range slow.batches[1:] {
				if first := batch.Events[0].ModRevision; first <= before {
					t.Errorf("revision %d is split over two batches", first)
				}
				if n := batch.Revision - before; n > 1000 {
					t.Errorf("a batch has %d revisions", n)
				}
				if last := batch.Events[len(batch.Events)-1].ModRevision; last != batch.Revision {
					t.Errorf("the last event of a batch is at %d, but its Revision is %d", last, batch.Revision)
				}
				before = batch.Revision
				got = append(got, batch.Events...)
			}
			diff(t, got, missed)
			slow.stop()
		})
	}
}

func TestLargeValuesMakeSmallBatches(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	value := []byte(strings.Repeat("v", 10_000))
	const commits, keys = 20, 100
	for range commits {
		ops := make([]kv.Op, keys)
		for i := range ops {
			ops[i] = kv.PutOp(fmt.Sprintf("/%02d", i), value)
		}
		if _, err := s.Commit(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
	}
	for r, perRevision := range map[kv.Range]int{kv.All(): keys, kv.Prefix("/3"): 10, kv.Key("/77"): 1} {
		events := make(map[kv.Revision]int)
		for batch, err := range s.Watch(t.Context(), r, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if n := len(batch.Events); n*len(value) >= 3<<20 {
				t.Errorf("%v: a batch has %d bytes", r, n*len(value))
			}
			if events[batch.Events[0].ModRevision] > 0 {
				t.Errorf("%v: revision %d is split over two batches", r, batch.Events[0].ModRevision)
			}
			for _, event := range batch.Events {
				events[event.ModRevision]++
			}
			if batch.Revision == commits+1 {
				break
			}
		}
		for rev := kv.Revision(2); rev <= commits+1; rev++ {
			if events[rev] != perRevision {
				t.Errorf("%v: revision %d came with %d events, want %d", r, rev, events[rev], perRevision)
			}
		}
	}
}

// A watch of a range scans a limited number of records at a time. What it finds must not depend on where a scan ends.
func TestRareChangesAreFoundInLongHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		var want []kv.Batch
		for i := range 10_000 {
			if i%2500 == 2047 {
				rev := put(t, s, fmt.Sprintf("/rare/%d", i), "v")
				want = append(want, putAt(fmt.Sprintf("/rare/%d", i), "v", rev, rev, 1))
			} else {
				put(t, s, "/common", "v")
			}
		}
		f := follow(t, s, kv.Prefix("/rare/"), 0)
		f.got(join(want...))
		f.stop()
	})
}

// A watch holds the store's mutex while it scans, so it must not scan everything at once.
func TestWatchOfALongHistoryDoesNotBlockOthers(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	const records, atOnce = 10_000, 2048
	for i := range records {
		put(t, s, fmt.Sprintf("/%d", i%10), "v")
	}
	looks, err := s.Looks(t.Context(), kv.Prefix("/none"), 0)
	if want := records/atOnce + 1; err != nil || looks != want {
		t.Errorf("a watch scanned %d times, %d records in all, %v; want %d scans of %d records each", looks, records, err, want, atOnce)
	}
}

func TestSequenceCanBeIteratedAgain(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	put(t, s, "/a", "1")
	seq := s.Watch(t.Context(), kv.Key("/a"), 0)
	for range 2 {
		for batch, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
			diff(t, batch, putAt("/a", "1", 2, 2, 1))
			break
		}
	}
}

func TestNothingIsLeftOfAWatchThatEnded(t *testing.T) {
	ranges := []kv.Range{kv.Key("/a"), kv.Prefix("/"), kv.All(), kv.Interval("/a", "/b"), kv.Interval("/", "/b")}
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		for _, r := range ranges {
			for range 3 {
				f := follow(t, s, r, 0)
				defer f.stop()
			}
			take(t, s, r, 0, 1)
			func() {
				defer func() { recover() }()
				for range s.Watch(t.Context(), r, 0) {
					panic("in the consumer")
				}
			}()
		}
		if got, want := s.Watches(), 3*len(ranges); got != want {
			t.Errorf("%d watches are running, want %d", got, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		var followers []*follower
		for _, r := range append(ranges, ranges...) {
			followers = append(followers, follow(t, s, r, 0))
		}
		for _, f := range followers {
			f.stop()
			f.gotEnd(context.Canceled)
		}
		if s.Registered() {
			t.Error("the store still has something of the watches")
		}
	})
}

func TestWatchEndsAtOnceWithTheErrorOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		put(t, s, "/a", "2")
		ctx, cancel := context.WithTimeout(t.Context(), 1)
		defer cancel()
		if err := ending(ctx, s, kv.Key("/b"), 0); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("a watch past its deadline ended with %v", err)
		}
		// Pending changes are not delivered to a consumer whose context is done.
		cause := errors.New("a cause")
		ctx, stop := context.WithCancelCause(t.Context())
		defer stop(nil)
		batches := 0
		for batch, err := range s.Watch(ctx, kv.All(), 0) {
			if err != nil {
				if !errors.Is(err, context.Canceled) || errors.Is(err, cause) {
					t.Errorf("a canceled watch ended with %v", err)
				}
				continue
			}
			batches++
			stop(cause)
			put(t, s, "/a", fmt.Sprint(batch.Revision))
		}
		if batches != 1 {
			t.Errorf("%d batches came after the context was done", batches-1)
		}
	})
}

func TestWriteWakesOnlyWatchesOfItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		var followers []*follower
		for i := range 100 {
			followers = append(followers,
				follow(t, s, kv.Key(fmt.Sprintf("/key/%02d", i)), 0),
				follow(t, s, kv.Prefix(fmt.Sprintf("/prefix/%02d/", i)), 0),
				follow(t, s, kv.Interval(fmt.Sprintf("/interval/%02d", i), fmt.Sprintf("/interval/%02d~", i)), 0),
			)
		}
		for key, want := range map[string]int{
			"/key/07": 1, "/key/070": 0, "/key/0": 0, "/prefix/07/": 1, "/prefix/07/x": 1, "/prefix/07": 0,
			"/interval/07": 1, "/interval/07/x": 1, "/interval/07~": 0, "/other": 0,
		} {
			if got := s.Concerned(key); got != want {
				t.Errorf("a write of %q concerns %d watches, want %d", key, got, want)
			}
			put(t, s, key, "1")
		}
		synctest.Wait()
		delivered := 0
		for _, f := range followers {
			for _, batch := range f.batches {
				delivered += len(batch.Events)
			}
			f.stop()
		}
		if delivered != 5 {
			t.Errorf("%d events were delivered, want 5", delivered)
		}
	})
}

func TestBlockedConsumerDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		stuck := followSlowly(t, s, kv.All(), 0)
		quick := follow(t, s, kv.All(), 2)
		stuck.got(putAt("/a", "1", 2, 2, 1))
		for i := range 10_000 {
			rev := put(t, s, "/a", "v")
			quick.got(putAt("/a", "v", 2, rev, int64(i+2)))
		}
		stuck.got()
		stuck.stop()
		quick.stop()
	})
}

func TestCloseEndsRunningWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		idle := follow(t, s, kv.Key("/b"), 0)
		future := follow(t, s, kv.Prefix("/"), 100)
		slow := followSlowly(t, s, kv.All(), 0)
		slow.got(putAt("/a", "1", 2, 2, 1))
		put(t, s, "/a", "2")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		slow.resume()
		for _, f := range []*follower{idle, future, slow} {
			f.gotEnd(kv.ErrClosed)
			f.cancel()
		}
		if s.Registered() {
			t.Error("the store still has something of the watches")
		}
	})
}

func TestWatchCanBeResumedAfterAnyBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		var want []kv.Event
		for i := range 2500 {
			want = append(want, putAt("/a", fmt.Sprint(i), 2, put(t, s, "/a", fmt.Sprint(i)), int64(i+1)).Events...)
		}
		for _, r := range []kv.Range{kv.Key("/a"), kv.All()} {
			var got []kv.Event
			for after := kv.Revision(0); len(got) < len(want); {
				batch := take(t, s, r, after, 1)[0]
				got = append(got, batch.Events...)
				after = batch.Revision
			}
			diff(t, got, want)
		}
	})
}

func TestStoreMadeOutsideWorksInABubble(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	put(t, s, "/a", "1")
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, s, kv.Key("/a"), 2)
		put(t, s, "/a", "2")
		f.got(putAt("/a", "2", 2, 3, 2))
		f.stop()
	})
	put(t, s, "/a", "3")
}
