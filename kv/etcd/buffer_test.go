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

// A reader that is always one batch behind never overruns its buffer.
func TestBatchesTakenFromABufferDoNotCount(t *testing.T) {
	b := newBuffer(4 << 10)
	b.add(batchOf(1 << 10))
	for i := range 100 {
		if !b.add(batchOf(1 << 10)) {
			t.Fatalf("after %d batches were added and taken there is no room", i)
		}
		if _, ok, err := b.take(); !ok || err != nil {
			t.Fatalf("nothing to take: %v", err)
		}
	}
}

func TestBatchesTakenFromABufferAreFreed(t *testing.T) {
	b := newBuffer(1 << 20)
	first := batchOf(1 << 10)
	held := weak.Make(&first.Events[0])
	b.add(first)
	b.add(batchOf(1 << 10))
	first, _, _ = b.take()
	if held.Value() == nil {
		t.Fatal("the test itself: the batch that was taken was freed too early")
	}
	runtime.KeepAlive(first)
	first = kv.Batch{}
	runtime.GC()
	if held.Value() != nil {
		t.Error("promised: the buffer does not hold a batch that was taken; it does")
	}
	runtime.KeepAlive(b)
}

func TestABufferHasRoomForOneBatchOfAnySizeAndAnyNumberOfBookmarks(t *testing.T) {
	b := newBuffer(1 << 10)
	if !b.add(batchOf(1<<20)) || b.add(batchOf(0)) {
		t.Error("promised: a batch of any size fits into an empty buffer, and then no other batch fits")
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

func TestOnlyAResetDropsBufferedBatches(t *testing.T) {
	for _, end := range []error{kv.ErrUnavailable, kv.ErrReset} {
		b := newBuffer(1 << 10)
		b.add(batchOf(0))
		b.finish(end)
		if _, ok, _ := b.take(); ok == (end == kv.ErrReset) {
			t.Errorf("after the end %v a batch that the buffer held is returned: %v", end, ok)
		}
		if _, ok, err := b.take(); ok || err != end {
			t.Errorf("the buffer returns the end %v, want %v", err, end)
		}
	}
}
