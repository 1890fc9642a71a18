package etcd

import (
	"runtime"
	"testing"
	"weak"

	"github.com/watchkv/watchkv/kv"
)

func batchOf(size int) kv.Batch {
	return kv.Batch{Revision: 1, Events: []kv.Event{{Entry: kv.Entry{Key: "k", Value: make([]byte, size)}}}}
}

// A reader that is one batch behind for ever is never sent away.
func TestWhatIsTakenFromABufferCountsNoMore(t *testing.T) {
	b := newBuffer(4 << 10)
	b.add(batchOf(1 << 10))
	for i := range 100 {
		if !b.add(batchOf(1 << 10)) {
			t.Fatalf("after %d batches came and went there is no room", i)
		}
		if _, ok, err := b.take(); !ok || err != nil {
			t.Fatalf("nothing to take: %v", err)
		}
	}
}

func TestWhatIsTakenFromABufferIsNotHeld(t *testing.T) {
	b := newBuffer(1 << 20)
	first := batchOf(1 << 10)
	held := weak.Make(&first.Events[0])
	b.add(first)
	b.add(batchOf(1 << 10))
	first, _, _ = b.take()
	if held.Value() == nil {
		t.Fatal("what was taken is gone")
	}
	runtime.KeepAlive(first)
	first = kv.Batch{}
	runtime.GC()
	if held.Value() != nil {
		t.Error("the buffer still holds what was taken")
	}
	runtime.KeepAlive(b)
}

func TestABufferHasRoomForOneBatchOfAnySizeAndAnyNumberOfBookmarks(t *testing.T) {
	b := newBuffer(1 << 10)
	if !b.add(batchOf(1<<20)) || b.add(batchOf(0)) {
		t.Error("a batch of any size fits, and then no other")
	}
	b.take()
	for rev := range kv.Revision(1000) {
		if !b.add(kv.Batch{Revision: rev}) {
			t.Fatalf("no room for the bookmark at %d", rev)
		}
	}
	if batch, _, _ := b.take(); batch.Revision != 999 {
		t.Errorf("the bookmark is at %d, want the newest, 999", batch.Revision)
	}
}

func TestOnlyAResetDropsWhatIsHeld(t *testing.T) {
	for _, end := range []error{kv.ErrUnavailable, kv.ErrReset} {
		b := newBuffer(1 << 10)
		b.add(batchOf(0))
		b.finish(end)
		if _, ok, _ := b.take(); ok == (end == kv.ErrReset) {
			t.Errorf("after %v a batch that was held is given out: %v", end, ok)
		}
		if _, ok, err := b.take(); ok || err != end {
			t.Errorf("the end is %v, want %v", err, end)
		}
	}
}
