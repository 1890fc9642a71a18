package memory_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"unsafe"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

// Forgotten history cannot be watched, and the store also frees its memory.
func TestForgottenHistoryIsFreed(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	for i := range 4 * 256 {
		put(t, s, fmt.Sprintf("/%d", i%2), "v")
	}
	before := s.Remember()
	compact(t, s, 901)
	runtime.GC()
	records, _ := before.Left()
	if records != 125 { // the records of revisions 901 to 1025
		t.Errorf("%d of 1024 records are left after a compaction that keeps 125", records)
	}
	runtime.KeepAlive(s)
}

func TestEntriesFromBeforeTheHistoryAreNotKept(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	put(t, s, "/a", "1") // 2
	rev := put(t, s, "/b", "1")
	compact(t, s, rev)
	put(t, s, "/a", "2")
	if records, byKey := s.Kept(); records != 2 || byKey != 1 {
		t.Errorf("%d records are kept, %d by key, want 2, one of them of a key that changed later", records, byKey)
	}
}

func TestWatchesThatEndedAreFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		stay := follow(t, s, kv.Key("/a"), 1)
		ends := follow(t, s, kv.Key("/a"), 1)
		before := s.Remember()
		ends.stop()
		runtime.GC()
		if _, watches := before.Left(); watches != 1 {
			t.Errorf("of two watches one has ended, but %d are left", watches)
		}
		stay.stop()
	})
}

// A key may be a substring of a large message. The store must not keep the message.
func TestAKeyIsCopiedFromALargerString(t *testing.T) {
	leaktest.Check(t)
	s := memory.New()
	key := strings.Repeat("x", 1<<10)[1000:]
	put(t, s, key, "v")
	if kept := get(t, s, kv.All()).Entries[0].Key; unsafe.StringData(kept) == unsafe.StringData(key) {
		t.Error("the store keeps the bytes of the caller's key")
	}
}
