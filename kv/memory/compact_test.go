package memory_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestWatchStartsInTheCompactedPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		put(t, s, "/b", "1")
		remove(t, s, "/a")
		put(t, s, "/a", "2")
		compact(t, s, 4)
		for _, r := range []kv.Range{kv.Key("/a"), kv.Prefix("/"), kv.Interval("/a", "/b"), kv.All()} {
			for after := kv.Revision(0); after < 3; after++ {
				f := follow(t, s, r, after)
				f.gotCompacted(4)
				f.cancel()
			}
			// The changes at the compacted revision itself can still be watched, even deletions.
			f := follow(t, s, r, 3)
			f.got(join(deleteAt("/a", 4), putAt("/a", "2", 5, 5, 1)))
			f.stop()
		}
		f := follow(t, s, kv.Key("/b"), 3)
		f.got()
		f.stop()
		diff(t, get(t, s, kv.Key("/b")), kv.Snapshot{Revision: 5, Entries: []kv.Entry{
			{Key: "/b", Value: []byte("1"), CreateRevision: 3, ModRevision: 3, Version: 1},
		}})
	})
}

func TestCompactionAtTheCurrentRevisionKeepsThatRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		remove(t, s, "/a")
		compact(t, s, 3)
		f := follow(t, s, kv.Key("/a"), 2)
		f.got(deleteAt("/a", 3))
		put(t, s, "/a", "2")
		f.got(putAt("/a", "2", 4, 4, 1))
		f.stop()
	})
}

func TestCompactRefusesWhatEtcdRefuses(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	for range 9 {
		put(t, s, "/a", "v")
	}
	steps := []struct {
		rev    kv.Revision
		want   error
		oldest kv.Revision // the oldest revision that a CompactedError names
	}{
		{-1, kv.ErrCompacted, 0},
		{11, memory.ErrFutureRevision, 0},
		{0, nil, 0}, // pointless but possible
		{0, kv.ErrCompacted, 0},
		{5, nil, 0},
		{5, kv.ErrCompacted, 5},
		{4, kv.ErrCompacted, 5},
		{10, nil, 0},
		{10, kv.ErrCompacted, 10},
		{11, memory.ErrFutureRevision, 0},
	}
	for _, step := range steps {
		err := s.Compact(t.Context(), step.rev)
		if !errors.Is(err, step.want) {
			t.Errorf("compacting at %d: %v, want %v", step.rev, err, step.want)
		}
		if compacted := new(kv.CompactedError); errors.As(err, &compacted) && compacted.Oldest != step.oldest {
			t.Errorf("compacting at %d: the error names %d as the oldest revision, want %d", step.rev, compacted.Oldest, step.oldest)
		}
	}
}

func TestCompactionEndsOnlyTheWatchesThatLoseSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		a1 := putAt("/a", "1", 2, 2, 1)
		lagging := followSlowly(t, s, kv.Key("/a"), 0)
		laggingRange := followSlowly(t, s, kv.Prefix("/a"), 0)
		current := followSlowly(t, s, kv.Prefix("/a"), 0)
		idle := follow(t, s, kv.Key("/idle"), 0)
		busy := followSlowly(t, s, kv.Interval("/a", "/b"), 0)
		future := follow(t, s, kv.All(), 100)
		for _, f := range []*follower{lagging, laggingRange, current, busy} {
			f.got(a1)
		}
		busy.stop()
		busy = followSlowly(t, s, kv.Key("/c"), 0)
		put(t, s, "/a", "2") // 3
		put(t, s, "/c", "1") // 4
		busy.got(putAt("/c", "1", 4, 4, 1))
		put(t, s, "/d", "1") // 5
		current.resume()
		current.got(putAt("/a", "2", 2, 3, 2))
		compact(t, s, 5)
		for _, f := range []*follower{lagging, laggingRange} {
			f.resume()
			f.gotCompacted(5)
			f.cancel()
		}
		// The busy consumer has not asked for more since revision 4, but nothing else has happened in its range.
		busy.resume()
		for _, f := range []*follower{current, idle, busy, future} {
			f.got()
		}
		put(t, s, "/c", "2")
		busy.got(putAt("/c", "2", 4, 6, 2))
		put(t, s, "/idle", "1")
		idle.got(putAt("/idle", "1", 7, 7, 1))
		put(t, s, "/a", "3")
		current.got(putAt("/a", "3", 2, 8, 3))
		for _, f := range []*follower{current, idle, busy, future} {
			f.stop()
		}
	})
}

func TestCompactionAtTheFirstMissedRevisionLosesNothing(t *testing.T) {
	for _, r := range []kv.Range{kv.Key("/a"), kv.Prefix("/a")} {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New()
			put(t, s, "/a", "1")
			slow := followSlowly(t, s, r, 0)
			slow.got(putAt("/a", "1", 2, 2, 1))
			put(t, s, "/b", "1") // 3
			put(t, s, "/a", "2") // 4
			put(t, s, "/b", "2") // 5
			compact(t, s, 4)
			slow.resume()
			slow.got(putAt("/a", "2", 2, 4, 2))
			slow.stop()
		})
	}
}

func TestCompactionFreesTheHistory(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	for i := range 10_000 {
		put(t, s, fmt.Sprintf("/%d", i%10), "v")
		put(t, s, fmt.Sprintf("/gone/%d", i), "v")
		remove(t, s, fmt.Sprintf("/gone/%d", i))
	}
	compact(t, s, 30_001)
	if records, byKey := s.Kept(); records != 1 || byKey != 1 {
		t.Errorf("the history has %d records, %d by key, want only the record of the last revision", records, byKey)
	}
	for range 20 {
		put(t, s, "/1", "v")
	}
	if records, _ := s.Kept(); records != 21 {
		t.Errorf("the history has %d records, want 21", records)
	}
}

func TestHistoryCanBeBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.WithHistory(3))
		put(t, s, "/other", "1")
		slow := followSlowly(t, s, kv.Key("/a"), 0)
		first := put(t, s, "/a", "1")
		slow.got(putAt("/a", "1", first, first, 1))
		for i := range 1000 {
			rev := put(t, s, "/a", "v")
			if records, byKey := s.Kept(); records > 3 || byKey > 3 {
				t.Fatalf("at %d the history has %d records, %d by key, want 3", rev, records, byKey)
			}
			if i < 10 {
				continue
			}
			f := follow(t, s, kv.Key("/a"), rev-3)
			f.got(join(putAt("/a", "v", first, rev-2, int64(i)), putAt("/a", "v", first, rev-1, int64(i+1)), putAt("/a", "v", first, rev, int64(i+2))))
			f.stop()
			f = follow(t, s, kv.Key("/a"), rev-4)
			f.gotCompacted(rev - 2)
			f.cancel()
		}
		slow.resume()
		slow.gotEnd(kv.ErrCompacted)
		slow.cancel()
		if got := len(get(t, s, kv.Key("/other")).Entries); got != 1 {
			t.Error("a key that was put before the kept history is gone")
		}
	})
}

func TestHistoryOfOneRevisionIsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.WithHistory(1))
		for rev := kv.Revision(2); rev < 5; rev++ {
			put(t, s, "/a", "v")
			late := follow(t, s, kv.All(), rev-2)
			late.gotCompacted(rev)
			late.cancel()
			f := follow(t, s, kv.All(), rev-1)
			f.got(putAt("/a", "v", 2, rev, int64(rev-1)))
			f.stop()
		}
	})
}

// All changes of the key are forgotten, but the key exists.
func TestWatchOfAKeyWithoutHistoryBeginsAtTheOldestRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		for _, value := range []string{"1", "2", "3"} {
			put(t, s, "/a", value)
		}
		rev := put(t, s, "/b", "1") // 5
		compact(t, s, rev)
		f := follow(t, s, kv.Key("/a"), rev-1)
		f.got()
		put(t, s, "/a", "4")
		f.got(putAt("/a", "4", 2, 6, 4))
		f.stop()
	})
}

func compact(t *testing.T, s *memory.Store, rev kv.Revision) {
	t.Helper()
	if err := s.Compact(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
}
