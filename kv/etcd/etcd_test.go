package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// patience limits how long a failing test waits.
const patience = 30 * time.Second

// atOnce is the limit for what must happen without waiting for anything.
const atOnce = 2 * time.Second

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("the test waited %v in vain", d))
	t.Cleanup(cancel)
	return ctx
}

// reader pulls from a watch. It stops the watch when the test ends.
type reader struct {
	t    testing.TB
	pull func() (kv.Batch, error, bool)
	stop func()
}

func read(t testing.TB, watch iter.Seq2[kv.Batch, error]) *reader {
	pull, stop := iter.Pull2(watch)
	t.Cleanup(stop)
	return &reader{t: t, pull: pull, stop: stop}
}

// batch returns the next batch that is not a bookmark.
func (r *reader) batch() kv.Batch {
	r.t.Helper()
	for {
		b, err, ok := r.pull()
		if !ok || err != nil {
			r.t.Fatalf("the watch ended with %v, want a batch", err)
		}
		if !b.IsBookmark() {
			return b
		}
	}
}

// end reads to the end of the watch and requires that its error matches want. It returns the batches before the error, and the error.
func (r *reader) end(want error) ([]kv.Batch, error) {
	r.t.Helper()
	var batches []kv.Batch
	for {
		b, err, ok := r.pull()
		switch {
		case !ok:
			r.t.Fatalf("the watch ended without an error, want %v", want)
		case err == nil:
			batches = append(batches, b)
			continue
		case !errors.Is(err, want):
			r.t.Fatalf("the watch ended with %v, want %v", err, want)
		}
		if b, err, ok := r.pull(); ok {
			r.t.Fatalf("after its error the watch went on with %v, %v", b, err)
		}
		var op *kv.OpError
		if !errors.As(err, &op) || op.Store != "kv/etcd" {
			r.t.Errorf("%#v is no OpError of kv/etcd", err)
		}
		return batches, err
	}
}

// nextIs requires that the next batch that is not a bookmark is at rev.
func (r *reader) nextIs(rev kv.Revision) {
	r.t.Helper()
	if got := r.batch().Revision; got != rev {
		r.t.Errorf("the next batch is at revision %d, want %d", got, rev)
	}
}

// endCompacted requires that the watch ends with a CompactedError with this oldest revision. It returns the batches before the error.
func (r *reader) endCompacted(oldest kv.Revision) []kv.Batch {
	r.t.Helper()
	batches, err := r.end(kv.ErrCompacted)
	var compacted *kv.CompactedError
	if !errors.As(err, &compacted) || compacted.Oldest != oldest {
		r.t.Errorf("the watch ended with %v, want %d as the oldest revision", err, oldest)
	}
	return batches
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
