package memory_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

func TestRestoreRestoresEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1") // 2
		put(t, s, "/a", "2") // 3
		put(t, s, "/b", "1") // 4
		remove(t, s, "/b")   // 5
		compact(t, s, 3)
		b := s.Backup()
		before := get(t, s, kv.All())
		if b.Revision() != before.Revision {
			t.Errorf("the backup is of revision %d, want %d", b.Revision(), before.Revision)
		}
		for range 2 { // a backup can be restored again
			put(t, s, "/a", "lost")
			put(t, s, "/c", "lost")
			remove(t, s, "/a")
			compact(t, s, 7)
			restore(t, s, b)
			diff(t, get(t, s, kv.All()), before)

			// The history before the backup can be watched again. The changes after it are gone.
			f := follow(t, s, kv.Key("/a"), 1)
			f.gotCompacted(3)
			f.cancel()
			for _, r := range []kv.Range{kv.All(), kv.Prefix("/")} {
				f = follow(t, s, r, 2)
				f.got(join(putAt("/a", "2", 2, 3, 2), putAt("/b", "1", 4, 4, 1), deleteAt("/b", 5)))
				f.stop()
			}
			f = follow(t, s, kv.Key("/b"), 2)
			f.got(join(putAt("/b", "1", 4, 4, 1), deleteAt("/b", 5)))
			f.stop()
			f = follow(t, s, kv.Key("/a"), 3)
			f.got()
			if rev := put(t, s, "/a", "3"); rev != 6 {
				t.Errorf("the first put after the restore made revision %d, want 6", rev)
			}
			f.got(putAt("/a", "3", 2, 6, 3))
			f.stop()
		}
	})
}

func TestRestoreEndsEveryRunningWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		b := s.Backup()
		put(t, s, "/a", "2")
		seen := follow(t, s, kv.Key("/a"), 0)
		idle := follow(t, s, kv.Prefix("/none"), 3)
		future := follow(t, s, kv.Interval("/a", "/b"), 100)
		slow := followSlowly(t, s, kv.All(), 1)
		both := join(putAt("/a", "1", 2, 2, 1), putAt("/a", "2", 2, 3, 2))
		seen.got(both)
		slow.got(both)
		put(t, s, "/a", "3")
		seen.got(putAt("/a", "3", 2, 4, 3))
		restore(t, s, b)
		for _, f := range []*follower{seen, idle, future} {
			f.gotEnd(kv.ErrReset)
			f.cancel()
		}
		// The slow consumer gets the error when it asks for more, and none of the batches that were pending.
		slow.got()
		slow.resume()
		slow.gotEnd(kv.ErrReset)
		slow.cancel()
		if s.Registered() {
			t.Error("the store still has something of the watches")
		}
	})
}

func TestWatchAfterALostRevisionEndsWithErrReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		put(t, s, "/a", "1")
		older := s.Backup() // at 2
		put(t, s, "/a", "2")
		newer := s.Backup() // at 3
		put(t, s, "/a", "3")
		lost := put(t, s, "/a", "4") // 5
		restore(t, s, newer)
		restore(t, s, older)
		for after := kv.Revision(3); after <= lost; after++ {
			for _, r := range []kv.Range{kv.Key("/a"), kv.Key("/none"), kv.All()} {
				f := follow(t, s, r, after)
				f.gotEnd(kv.ErrReset)
				f.cancel()
			}
		}
		if s.Registered() {
			t.Error("the store still has something of the watches")
		}
		future := follow(t, s, kv.Key("/a"), lost+1) // no history has reached this revision
		for rev := kv.Revision(3); rev <= lost+1; rev++ {
			if got := put(t, s, "/a", "other"); got != rev {
				t.Fatalf("the put made revision %d, want %d", got, rev)
			}
			f := follow(t, s, kv.Key("/a"), rev) // the new history has reached it
			f.got()
			f.stop()
		}
		future.got()
		put(t, s, "/a", "last")
		future.got(putAt("/a", "last", 2, lost+2, 6))
		future.stop()
	})
}

func TestBackupsAreIndependentOfTheStoreAndOfEachOther(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	var backups []*memory.Backup
	var snapshots []kv.Snapshot
	var histories [][]kv.Batch
	keep := func() {
		backups = append(backups, s.Backup())
		snapshots = append(snapshots, get(t, s, kv.All()))
		histories = append(histories, take(t, s, kv.All(), 600, 1))
	}
	for i := range 1000 {
		put(t, s, fmt.Sprintf("/%d", i%300), fmt.Sprint(i))
		if i > 600 && i%70 == 0 {
			keep()
		}
		if i == 800 {
			compact(t, s, 601)
		}
		if i == 900 {
			restore(t, s, backups[1])
			keep()
		}
	}
	other := memory.New()
	for i := range backups {
		restore(t, other, backups[i])
		for range 300 {
			put(t, other, "/0", "noise")
			remove(t, other, fmt.Sprintf("/%d", i))
		}
		compact(t, other, other.Backup().Revision())
	}
	for i, b := range backups {
		restore(t, s, b)
		diff(t, get(t, s, kv.All()), snapshots[i])
		diff(t, take(t, s, kv.All(), 600, 1), histories[i])
	}
}

func TestRestoreKeepsTheBoundOfTheHistory(t *testing.T) {
	leaktest.Check(t)
	unbounded := memory.New()
	for range 100 {
		put(t, unbounded, "/a", "v")
	}
	s := memory.New(memory.WithHistory(10))
	restore(t, s, unbounded.Backup())
	if records, byKey := s.Kept(); records != 10 || byKey != 10 {
		t.Errorf("the history has %d records, %d by key, want 10", records, byKey)
	}
}

func restore(t *testing.T, s *memory.Store, b *memory.Backup) {
	t.Helper()
	if err := s.Restore(b); err != nil {
		t.Fatal(err)
	}
}
